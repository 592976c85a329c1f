"""Removing a member or a service account by the API, and what becomes of the active tokens."""

from typing import Any

from django.core.exceptions import PermissionDenied, ValidationError
from django.utils import timezone
from drf_spectacular.utils import OpenApiParameter
from rest_framework import exceptions, serializers
from rest_framework.fields import empty
from rest_framework.request import Request

from accounts.api.parsers import refuse_repeated
from accounts.api.schema import or_empty
from accounts.api.serializers import ID_IN_DIGITS, IdField
from accounts.authorization.actor import Actor
from accounts.members import services as members
from accounts.models import Membership
from accounts.service_accounts.issuing import issuer_with

HAND_OVER_TO = OpenApiParameter(
    "hand_over_to",
    {"type": "string", "pattern": ID_IN_DIGITS},
    description="The ID of the user or service account that becomes the issuer of the active "
    "tokens. Its role must be at least that of each token.",
)
DELETE_TOKENS = OpenApiParameter(
    "delete_tokens",
    or_empty({"type": "boolean"}),
    description="Delete the active tokens instead, in the same step.",
)


class SentIdField(IdField):
    """An id in an address. Sent empty it is not left out, but wrong: a program forgot whom."""

    def get_value(self, dictionary: Any) -> Any:
        return dictionary.get(self.field_name, empty)


class QueryBooleanField(serializers.BooleanField):
    """`true` or `false` in an address; empty, it is left out."""

    default_empty_html = empty

    def to_internal_value(self, data: Any) -> bool:
        if data not in ("true", "false"):
            self.fail("invalid", input=data)
        return bool(data == "true")


class RemovalSerializer(serializers.Serializer[Any]):
    """The query of a removal: what becomes of the active tokens."""

    hand_over_to = SentIdField(required=False)
    delete_tokens = QueryBooleanField(required=False, default=False)

    def validate(self, attrs: dict[str, Any]) -> dict[str, Any]:
        if attrs["delete_tokens"] and "hand_over_to" in attrs:
            sentence = "Hand the tokens over or delete them, not both."
            raise serializers.ValidationError({"hand_over_to": [sentence]})
        return attrs


def asked_of(request: Request) -> dict[str, Any]:
    """The query of the request. Raises REST framework's `ValidationError`."""
    refuse_repeated(request.query_params, RemovalSerializer().fields)
    asked = RemovalSerializer(data=request.query_params)
    asked.is_valid(raise_exception=True)
    return dict(asked.validated_data)


def remove(membership: Membership, asked: dict[str, Any], actor: Actor) -> None:
    """Remove a member or a service account, as the query of the request says."""
    receiver_id = asked.get("hand_over_to")
    receiver = None if receiver_id is None else _receiver(receiver_id, membership, actor)
    try:
        members.remove_member(
            membership=membership,
            delete_tokens=asked["delete_tokens"],
            hand_over_to=receiver,
            by=actor,
            at=timezone.now(),
        )
    except ValidationError as refused:
        raise exceptions.ValidationError({"hand_over_to": refused.messages}) from refused


def _receiver(user_id: int, leaving: Membership, actor: Actor) -> Membership:
    # Who may not remove anybody is not told who belongs to the account.
    if not members.may_manage(actor, leaving.account_id):
        raise PermissionDenied
    receiver = issuer_with(user_id, account_id=leaving.account_id)
    if receiver is None or receiver.pk == leaving.pk:
        sentence = "Choose another user or a service account of the account."
        raise exceptions.ValidationError({"hand_over_to": [sentence]})
    return receiver
