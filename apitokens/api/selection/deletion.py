"""Deleting several tokens at once: the call, its shapes and its description."""

from typing import Any

from django.utils import timezone
from drf_spectacular.utils import OpenApiExample, OpenApiResponse, extend_schema, extend_schema_view
from rest_framework import exceptions, serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api.schema import ACCOUNT_ID, NO_ACCOUNT, UNAUTHENTICATED, invalid, refusal
from accounts.api.views import actor_of, caller
from accounts.validators import is_id
from apitokens.api.selection.fields import TokenIdsField
from apitokens.api.views import AccountView
from apitokens.models import APIToken
from apitokens.tokens.rules import MOST_AT_ONCE
from apitokens.tokens.services import MayNotDelete, delete_selected


class DeletionSerializer(serializers.Serializer[Any]):
    """The tokens to delete."""

    tokens = TokenIdsField(help_text="The IDs of the tokens. One that is named twice counts once.")


class DeletedSerializer(serializers.Serializer[Any]):
    """What became of each token, by its ID: each stands in one of the lists, in the order of the
    request."""

    deleted = serializers.ListField(
        child=serializers.IntegerField(), help_text="Those that this request deleted."
    )
    already_deleted = serializers.ListField(
        child=serializers.IntegerField(), help_text="Those that had been deleted before."
    )
    not_found = serializers.ListField(
        child=serializers.IntegerField(),
        help_text="Those that don't exist, or that you may not see.",
    )


def _described(suffix: str, tag: str) -> Any:
    return extend_schema(
        operation_id=f"delete_api_tokens{suffix}",
        summary="Delete several API tokens",
        description=f"Up to {MOST_AT_ONCE} tokens stop working immediately, expired ones included. "
        "This can't be undone. If you may not delete one that you may see, none is deleted (403). "
        "An ID without a token stops nothing: the answer says what became of each, so that the "
        "request can be repeated.",
        tags=[tag],
        parameters=[ACCOUNT_ID],
        request=DeletionSerializer,
        examples=[
            OpenApiExample("Deletion", {"tokens": [771142358, 730114528, 5]}, request_only=True)
        ],
        responses={
            200: OpenApiResponse(
                DeletedSerializer,
                "What became of each token",
                [
                    OpenApiExample(
                        "Deleted",
                        {"deleted": [771142358], "already_deleted": [730114528], "not_found": [5]},
                        response_only=True,
                    )
                ],
            ),
            400: invalid(
                "The list is invalid; nothing was deleted",
                tokens=[f"Ensure this field has no more than {MOST_AT_ONCE} elements."],
            ),
            401: UNAUTHENTICATED,
            403: refusal(
                "The calling token may do less than one of these; none was deleted",
                message="You don't have permission to delete these API tokens.",
                hint="Nothing was deleted. Leave these out: 771142358.",
            ),
            404: NO_ACCOUNT,
        },
    )


class Deletion(AccountView):
    def post(self, request: Request, client_id: int) -> Response:
        at, actor = timezone.now(), actor_of(request)
        asked = DeletionSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        ids = list(dict.fromkeys(asked.validated_data["tokens"]))
        visible = APIToken.objects.visible_to(actor).filter(pk__in=list(filter(is_id, ids)))
        seen = set(visible.values_list("pk", flat=True))
        try:
            deleted = delete_selected(
                account=caller(request).account, token_ids=seen, by=actor, at=at
            )
        except MayNotDelete as refused:
            raise _with_ids(refused) from refused
        gone = {token.pk for token in deleted}
        outcome = {
            "deleted": [each for each in ids if each in gone],
            "already_deleted": [each for each in ids if each in seen - gone],
            "not_found": [each for each in ids if each not in seen],
        }
        return Response(DeletedSerializer(outcome).data)


@extend_schema_view(post=_described("", "API tokens"))
class DeletionV1(Deletion):
    """By the addresses of v1."""


@extend_schema_view(post=_described("_v2", "API tokens, v2"))
class DeletionV2(Deletion):
    """The same by the addresses of v2."""


def _with_ids(refused: MayNotDelete) -> exceptions.PermissionDenied:
    ids = ", ".join(str(token.pk) for token in refused.tokens)
    hint = f"Nothing was deleted. Leave these out: {ids}."
    return exceptions.PermissionDenied({"message": str(refused), "hint": hint})
