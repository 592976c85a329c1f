"""The shapes of API tokens on the wire."""

import re
from datetime import UTC, datetime
from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from accounts.api.serializers import LINE, PARAGRAPHS, RoleField, TextField
from apitokens.models import APIToken

INSTANT = (
    r"^[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}(:[0-5][0-9](\.[0-9]+)?)?"
    r"([Zz]|[+-][0-9]{2}:[0-9]{2})?$"
)
_INSTANT = re.compile(INSTANT)
_BELOW_MICROSECONDS = re.compile(r"(?<=\.[0-9]{6})[0-9]+")

WIRE_TIME_OR_EMPTY = r"^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z)?$"

# The services' names of fields, as the API spells them.
FIELDS = {"expires_at": "exp_date"}


class IssuerSerializer(serializers.Serializer[APIToken]):
    """Who issued the token. `deleted` says that the user has been removed from the account."""

    deleted = serializers.BooleanField(source="issuer.is_removed")
    user_id = serializers.IntegerField(source="issuer.user_id")
    user_name = serializers.CharField(source="issuer.user.name")
    user_email = serializers.EmailField(source="issuer.user.email")
    client_id = serializers.IntegerField(source="account_id")
    role = RoleField()


class TokenSerializer(serializers.Serializer[APIToken]):
    """An API token without its secret. Times are UTC; `last_usage` is "" for a token never used."""

    id = serializers.IntegerField(source="pk")
    name = serializers.CharField()
    description = serializers.CharField()
    exp_date = serializers.DateTimeField(source="expires_at", allow_null=True, default_timezone=UTC)
    created = serializers.DateTimeField(source="created_at", default_timezone=UTC)
    deleted = serializers.BooleanField(source="is_deleted")
    expired = serializers.SerializerMethodField()
    last_usage = serializers.SerializerMethodField()
    client_user = IssuerSerializer(source="*")

    def get_expired(self, token: APIToken) -> bool:
        at: datetime = self.context["at"]
        return token.is_expired(at)

    @extend_schema_field({"type": "string", "pattern": WIRE_TIME_OR_EMPTY})
    def get_last_usage(self, token: APIToken) -> str:
        return _wire_time(token.last_used_at) if token.last_used_at else ""


class IssuedSerializer(TokenSerializer):
    """A new API token. `token` is shown only this once: it is not stored."""

    token = serializers.SerializerMethodField()

    def get_token(self, token: APIToken) -> str:
        plaintext: str = self.context["plaintext"]
        return plaintext


@extend_schema_field({"type": "string", "format": "date-time", "pattern": INSTANT})
class InstantField(serializers.DateTimeField):
    """RFC 3339, in which t and z may be small; without an offset it is UTC."""

    def to_internal_value(self, value: Any) -> datetime:
        if not isinstance(value, str) or not _INSTANT.fullmatch(value):
            self.fail("invalid", format="2027-12-31T23:59:59Z")
        return super().to_internal_value(_BELOW_MICROSECONDS.sub("", value.upper()))


class NewIssuerSerializer(serializers.Serializer[Any]):
    """The role of the new token; an empty object stands for the caller's own."""

    role = RoleField(required=False)


class NewTokenSerializer(serializers.Serializer[Any]):
    """The new API token to create."""

    name = TextField(
        max_length=255,
        characters=LINE,
        help_text="Name of the token; doesn't have to be unique.",
    )
    exp_date = InstantField(
        allow_null=True,
        default_timezone=UTC,
        help_text="When the token expires, as RFC 3339 with any offset; null for never.",
    )
    client_user = NewIssuerSerializer(
        help_text='The role, by ID or name: {"role": {"id": 2}}; {} for your own.'
    )
    description = TextField(
        max_length=2000,
        characters=PARAGRAPHS,
        required=False,
        allow_blank=True,
        allow_null=True,
        default="",
        help_text="Optional description of the token.",
    )


def _wire_time(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
