"""The shapes of API tokens on the wire."""

import re
from datetime import UTC, datetime
from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from accounts.api.serializers import LINE, PARAGRAPHS, IdField, RoleField, TextField
from apitokens.addresses.rules import LONGEST, MOST
from apitokens.models import LONGEST_CODE, APIToken, OldSecret
from apitokens.scopes.words import MOST_SCOPES, WORD
from apitokens.tokens.rotation import Grace

INSTANT = (
    r"^[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9]{2}:[0-9]{2}(:[0-5][0-9](\.[0-9]+)?)?"
    r"([Zz]|[+-][0-9]{2}:[0-9]{2})?$"
)
_INSTANT = re.compile(INSTANT)
_BELOW_MICROSECONDS = re.compile(r"(?<=\.[0-9]{6})[0-9]+")

_ADDRESS = "[0-9A-Fa-f:.]+(/[0-9.]+)?"
"""What could be an address or a network."""
MOST_CHARACTERS = 2 * LONGEST_CODE + 1
"""Of a scope."""
WHAT_SCOPES_ARE = "Send each scope as a text such as cdn:purge."
MOST_ROTATIONS = 2**31 - 1
WIRE_TIME_OR_EMPTY = r"^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z)?$"

# The services' names of fields, as the API spells them.
FIELDS = {"expires_at": "exp_date"}


class IssuerSerializer(serializers.Serializer[APIToken]):
    """Who issued the token: a user or a service account. `deleted` says that it has been removed
    from the account."""

    deleted = serializers.BooleanField(source="issuer.is_removed")
    user_id = serializers.IntegerField(source="issuer.user_id")
    user_name = serializers.CharField(source="issuer.user.name")
    user_email = serializers.EmailField(source="issuer.user.email")
    client_id = serializers.IntegerField(source="account_id")
    role = RoleField()
    service_account = serializers.BooleanField(
        source="issuer.is_service_account",
        help_text="True if the issuer is no person; no email can reach user_email then.",
    )


class OldSecretSerializer(serializers.Serializer[OldSecret]):
    """The secret before the present one. `last_usage` and `last_usage_address` tell whether all of
    your systems have changed; they are "" for a secret never used."""

    works = serializers.SerializerMethodField(help_text="False from its end on.")
    works_until = serializers.DateTimeField(source="ends_at", default_timezone=UTC)
    last_usage = serializers.SerializerMethodField()
    last_usage_address = serializers.SerializerMethodField()

    def get_works(self, old: OldSecret) -> bool:
        at: datetime = self.context["at"]
        return old.token.has_working_old_secret(at)

    @extend_schema_field({"type": "string", "pattern": WIRE_TIME_OR_EMPTY})
    def get_last_usage(self, old: OldSecret) -> str:
        return _wire_time(old.last_used_at) if old.last_used_at else ""

    def get_last_usage_address(self, old: OldSecret) -> str:
        return old.last_used_address or ""


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
    rotations = serializers.IntegerField(
        max_value=MOST_ROTATIONS, min_value=0, help_text="How often it got a new secret."
    )
    rotated = serializers.DateTimeField(
        source="rotated_at",
        allow_null=True,
        default_timezone=UTC,
        help_text="When it got its present secret; null if that is its first.",
    )
    old_secret = OldSecretSerializer(source="former_secret", allow_null=True)
    scopes = serializers.ListField(
        source="held_scopes",
        child=serializers.CharField(),
        allow_null=True,
        help_text="What it is limited to; null if it can do all that its role allows.",
    )
    allowed_addresses = serializers.ListField(
        source="address_list",
        child=serializers.CharField(),
        max_length=MOST,
        help_text="The IP addresses and networks that it works from; empty for all.",
    )

    def get_expired(self, token: APIToken) -> bool:
        at: datetime = self.context["at"]
        return token.is_expired(at)

    @extend_schema_field({"type": "string", "pattern": WIRE_TIME_OR_EMPTY})
    def get_last_usage(self, token: APIToken) -> str:
        return _wire_time(token.last_used_at) if token.last_used_at else ""


class TokenPageSerializer(serializers.Serializer[Any]):
    """A part of a list of tokens. `next` and `previous` are paths, or null at the ends; `count`
    goes no further than 10,000."""

    count = serializers.IntegerField()
    next = serializers.CharField(allow_null=True)
    previous = serializers.CharField(allow_null=True)
    results = TokenSerializer(many=True)


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


class AllowedAddressesField(serializers.ListField):
    """A list of addresses and networks; what is wrong with one, the service says."""

    child = TextField(whole=_ADDRESS, max_length=LONGEST)

    def __init__(self, **facts: Any) -> None:
        super().__init__(max_length=MOST, required=False, allow_null=True, **facts)


class NewIssuerSerializer(serializers.Serializer[Any]):
    """The role of the new token; an empty object stands for the caller's own."""

    role = RoleField(required=False)


class ScopesField(serializers.ListField):
    """Scopes of a token, each as `service:scope`; null for all that the role allows. What is wrong
    with them says the service, in one sentence."""

    def __init__(self, **facts: Any) -> None:
        child = TextField(whole=WORD, max_length=MOST_CHARACTERS)
        super().__init__(child=child, required=False, allow_null=True, **facts)

    def run_child_validation(self, data: Any) -> Any:
        """One sentence about the field, not one for each."""
        try:
            return [self.child.run_validation(item) for item in data]
        except serializers.ValidationError:
            raise serializers.ValidationError(WHAT_SCOPES_ARE) from None


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
    issuer = IdField(
        required=False,
        allow_null=True,
        default=None,
        help_text="The ID of a service account that issues the token; otherwise you do.",
    )
    scopes = ScopesField(
        max_length=MOST_SCOPES,
        help_text="What the token is limited to, for example cdn:purge; null or left out for all "
        "that its role allows. A token that is limited itself gives its own if they are left out.",
    )
    allowed_addresses = AllowedAddressesField(
        default=None,
        help_text="IPv4 and IPv6 addresses and networks that the token works from. Empty, null or "
        "left out, it works from everywhere.",
    )


class EditedTokenSerializer(serializers.Serializer[Any]):
    """What is to change; what is left out stays as it is."""

    name = TextField(
        max_length=255, characters=LINE, required=False, help_text="What the token is for."
    )
    description = TextField(
        max_length=2000,
        characters=PARAGRAPHS,
        required=False,
        allow_blank=True,
        allow_null=True,
        help_text="Optional description of the token.",
    )
    exp_date = InstantField(
        required=False,
        allow_null=True,
        default_timezone=UTC,
        help_text="An earlier expiration than the present one, as RFC 3339 with any offset.",
    )
    client_user = NewIssuerSerializer(
        required=False, help_text='A lower role, by id or name: {"role": {"id": 2}}.'
    )
    scopes = ScopesField(
        max_length=MOST_SCOPES,
        help_text="What the token is limited to from now on; null for all that its role allows.",
    )
    allowed_addresses = AllowedAddressesField(
        help_text="The whole new list of addresses and networks that the token works from; empty "
        "or null for everywhere."
    )


@extend_schema_field({"type": "integer", "enum": Grace.values, "default": Grace.DAY.value})
class GraceField(serializers.Field[Grace, Any, int, Any]):
    """Hours, of which a few numbers can be chosen."""

    default_error_messages = {"invalid": "Choose one of: {choices}."}

    def to_internal_value(self, data: Any) -> Grace:
        if type(data) not in (int, float) or data not in Grace.values:
            self.fail("invalid", choices=", ".join(map(str, Grace.values)))
        return Grace(int(data))

    def to_representation(self, value: Any) -> int:
        return int(value)


class CountField(serializers.IntegerField):
    """A number, and not text that could be read as one."""

    def to_internal_value(self, data: Any) -> int:
        if type(data) not in (int, float):
            self.fail("invalid")
        return super().to_internal_value(data)


class RotationSerializer(serializers.Serializer[Any]):
    """How a token is to be rotated."""

    old_secret_hours = GraceField(
        required=False,
        default=Grace.DAY,
        help_text="For how many hours the old secret keeps working. Never beyond the expiration "
        "that the token had or gets.",
    )
    exp_date = InstantField(
        required=False,
        allow_null=True,
        default_timezone=UTC,
        help_text="When the token expires from now on, as RFC 3339 with any offset; null for "
        "never. Left out, it stays as it is.",
    )
    rotations = CountField(
        required=False,
        min_value=0,
        max_value=MOST_ROTATIONS,
        help_text="The number of rotations that you expect the token to have had. If it has had "
        "more, nothing is changed. With this, a request that is sent twice rotates once.",
    )


def _wire_time(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
