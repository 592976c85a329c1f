"""Looking up a token that was found somewhere: the call, its shapes and its description."""

from datetime import datetime
from typing import Any, ClassVar

from django.core.exceptions import PermissionDenied, ValidationError
from django.utils import timezone
from django.views.decorators.debug import sensitive_variables
from drf_spectacular.utils import (
    OpenApiExample,
    OpenApiResponse,
    extend_schema,
    extend_schema_field,
    extend_schema_view,
)
from rest_framework import exceptions, serializers
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api.errors import NotFound
from accounts.api.schema import ACCOUNT_ID, UNAUTHENTICATED, invalid, refusal
from accounts.api.serializers import TextField
from accounts.api.views import actor_of
from apitokens.api.schema import TOKEN
from apitokens.api.serializers import TokenSerializer
from apitokens.api.views import AccountView
from apitokens.csv_export import ISSUER_INACTIVE
from apitokens.lookup.forms import LONGEST
from apitokens.lookup.services import Found, look_up, refusal_of
from apitokens.models import APIToken, Status
from apitokens.verification.refusals import Refusal

STATUSES = [*(status.value for status in Status), ISSUER_INACTIVE]


class LookUpSerializer(serializers.Serializer[Any]):
    """What was found."""

    token = TextField(
        max_length=LONGEST, help_text="The whole token, or a log line that contains it."
    )


class FoundSerializer(TokenSerializer):
    """The API token that was looked up, and whether what was sent works."""

    status = serializers.SerializerMethodField(
        help_text="As in the exported file; issuer_inactive for an active one whose issuer was "
        "deactivated."
    )
    works = serializers.SerializerMethodField(
        help_text="True if the secret that was sent is accepted at this moment, from the addresses "
        "that the token allows."
    )
    is_old_secret = serializers.SerializerMethodField(
        help_text="True if it is the secret that the token had before it was rotated."
    )

    @extend_schema_field({"type": "string", "enum": STATUSES})
    def get_status(self, token: APIToken) -> str:
        at: datetime = self.context["at"]
        return ISSUER_INACTIVE if token.is_stopped(at) else token.status(at).value

    def get_works(self, _token: APIToken) -> bool:
        return refusal_of(self.context["found"], at=self.context["at"]) is None

    def get_is_old_secret(self, _token: APIToken) -> bool:
        found: Found = self.context["found"]
        return found.is_old_secret


def _described(suffix: str, tag: str) -> Any:
    sent = {"token": "Authorization: APIKey 771142358_<72 hexadecimal digits>"}
    told = {**TOKEN, "status": "active", "works": True, "is_old_secret": False}
    return extend_schema(
        operation_id=f"look_up_api_token{suffix}",
        summary="Look up an API token",
        description="For Administrators. Tells whose a token is that was found somewhere, whether "
        "it still works, and when it was last used. Send it here, and never in an address: nothing "
        "of its secret is kept or logged. The look-up is in the audit log. Needs `tokens:read`, "
        "though it is a POST.",
        tags=[tag],
        parameters=[ACCOUNT_ID],
        request=LookUpSerializer,
        examples=[OpenApiExample("Look-up", sent, request_only=True)],
        responses={
            200: OpenApiResponse(
                FoundSerializer,
                "The token",
                [OpenApiExample("Found", told, response_only=True)],
            ),
            400: invalid(
                "There is no whole token in it",
                token=["This is only the ID. Paste the whole token, including the part after $."],
            ),
            401: UNAUTHENTICATED,
            403: refusal("Not permitted", message="Only Administrators look up tokens."),
            404: refusal(
                "No such token in your account; a wrong secret is answered alike",
                message="No API token matches. It may belong to another account, or have been "
                "deleted more than 90 days ago.",
                code="unknown",
            ),
        },
    )


class LookUp(AccountView):
    only_reads: ClassVar[bool] = True

    @sensitive_variables()
    def post(self, request: Request, client_id: int) -> Response:
        at, actor = timezone.now(), actor_of(request)
        if not actor.is_administrator_of(client_id):
            raise PermissionDenied("Only Administrators look up tokens.")
        asked = LookUpSerializer(data=request.data)
        asked.is_valid(raise_exception=True)
        try:
            found = look_up(text=asked.validated_data["token"], by=actor, at=at)
        except ValidationError as refused:
            raise _worded(refused) from None
        return Response(FoundSerializer(found.token, context={"at": at, "found": found}).data)


@extend_schema_view(post=_described("", "API tokens"))
class LookUpV1(LookUp):
    """By the addresses of v1."""


@extend_schema_view(post=_described("_v2", "API tokens, v2"))
class LookUpV2(LookUp):
    """The same by the addresses of v2."""


def _worded(refused: ValidationError) -> exceptions.APIException:
    """404 for what is a token, but none of the account; 400 for what is none."""
    sentence = refused.messages[0]
    if refused.code == Refusal.UNKNOWN:
        return NotFound({"message": sentence, "code": refused.code})
    return exceptions.ValidationError({"token": [sentence]})
