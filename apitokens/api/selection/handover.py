"""Handing tokens over to another issuer: the call, its shape and its description."""

from typing import Any

from django.core.exceptions import PermissionDenied, ValidationError
from django.utils import timezone
from drf_spectacular.utils import OpenApiExample, OpenApiResponse, extend_schema, extend_schema_view
from rest_framework import exceptions, serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api.errors import as_errors
from accounts.api.schema import ACCOUNT_ID, NO_ACCOUNT, UNAUTHENTICATED, invalid, refusal
from accounts.api.serializers import IdField
from accounts.api.views import actor_of, caller
from accounts.service_accounts.issuing import issuer_with
from accounts.validators import is_id
from apitokens.api.selection.fields import TokenIdsField
from apitokens.api.serializers import TokenSerializer
from apitokens.api.views import AccountView
from apitokens.models import APIToken
from apitokens.tokens.handover import hand_over


class HandoverSerializer(serializers.Serializer[Any]):
    """The tokens to hand over, and who gets them."""

    tokens = TokenIdsField(
        help_text="The IDs of active tokens of the account. Others are left as they are."
    )
    issuer = IdField(
        help_text="The ID of the user or service account that becomes their issuer. Its role must "
        "be at least that of each token."
    )


def _described(suffix: str, tag: str) -> Any:
    return extend_schema(
        operation_id=f"hand_over_api_tokens{suffix}",
        summary="Hand API tokens over",
        description="For Administrators. The tokens get another issuer, all or none, and keep "
        "their IDs and secrets: systems that use them are not interrupted. The answer holds those "
        "that changed.",
        tags=[tag],
        parameters=[ACCOUNT_ID],
        request=HandoverSerializer,
        examples=[
            OpenApiExample(
                "Handover", {"tokens": [771142358], "issuer": 730114528}, request_only=True
            )
        ],
        responses={
            200: OpenApiResponse(TokenSerializer(many=True), "The tokens, as they are now"),
            400: invalid(
                "They can't be handed over; nothing was changed",
                issuer=["Choose a user or a service account of the account."],
            ),
            401: UNAUTHENTICATED,
            403: refusal("Not permitted", message="Only Administrators can hand over API tokens."),
            404: NO_ACCOUNT,
        },
    )


class Handover(AccountView):
    def post(self, request: Request, client_id: int) -> Response:
        at, actor = timezone.now(), actor_of(request)
        if not actor.is_administrator_of(client_id):
            raise PermissionDenied("Only Administrators can hand over API tokens.")
        asked = HandoverSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        receiver = issuer_with(asked.validated_data["issuer"], account_id=client_id)
        if receiver is None:
            sentence = "Choose a user or a service account of the account."
            raise exceptions.ValidationError({"issuer": [sentence]})
        try:
            handed = hand_over(
                account=caller(request).account,
                token_ids=[each for each in asked.validated_data["tokens"] if is_id(each)],
                to=receiver,
                by=actor,
                at=at,
            )
        except ValidationError as refused:
            errors = as_errors(refused)
            raise exceptions.ValidationError({"issuer": next(iter(errors.values()))}) from refused
        tokens: Any = APIToken.objects.for_display().filter(pk__in=[each.pk for each in handed])
        context = {"at": at}
        return Response(TokenSerializer(tokens.order_by("pk"), many=True, context=context).data)


@extend_schema_view(post=_described("", "API tokens"))
class HandoverV1(Handover):
    """By the addresses of v1."""


@extend_schema_view(post=_described("_v2", "API tokens, v2"))
class HandoverV2(Handover):
    """The same by the addresses of v2."""
