"""Serializers of accounts, users and sign-ins."""

import re
from collections.abc import Sequence
from datetime import UTC
from typing import Any

from drf_spectacular.extensions import OpenApiSerializerFieldExtension
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers
from rest_framework.fields import empty

from accounts.models import Account, AuditEvent, Language, Membership
from accounts.roles import ROLE_NAMES, Role

ROLE_IDS = [str(role.value) for role in Role]
AUTH_TYPES = ("password", "sso", "github", "google-oauth2")
SIGNED_IN, SIGN_IN_REFUSED = "sign_in.succeeded", "sign_in.refused"


_SPACES = r"\t-\r\x1c-\x20\x85\xa0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000"
"""What Python strips."""
_REORDERING = r"\u202a-\u202e\u2066-\u2069"
LINE = rf"[^\x00-\x1f\x7f-\x9f\u2028\u2029{_REORDERING}]"
"""The characters of one line, as `accounts.validators.validate_line` takes them."""
PARAGRAPHS = rf"[^\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f{_REORDERING}]"
PHONE = "[0-9 +()-]"


class TextField(serializers.CharField):
    """Text, and not a number that could be read as one. `characters` describes what services take:
    a class of a regular expression; `whole`, where that says too little, the whole text."""

    def __init__(self, *, characters: str = r"[^\x00]", whole: str = "", **facts: Any) -> None:
        self.characters = characters
        self.whole = whole
        super().__init__(**facts)

    @property
    def pattern(self) -> str:
        """The pattern of what is taken, where spaces at the ends are dropped."""
        ends = f"[{_SPACES}]*" if self.trim_whitespace else ""
        if self.whole:
            return f"^{ends}{self.whole}{ends}$"
        needs_one = self.trim_whitespace and not self.allow_blank
        first = f"{self.characters.removesuffix(']')}{_SPACES}]" if needs_one else ""
        return f"^{ends}{first}{self.characters}*{ends}$"

    def run_validation(self, data: Any = empty) -> Any:
        if self.max_length and isinstance(data, str) and len(data) > self.max_length:
            self.fail("max_length", max_length=self.max_length)  # spaces count, too
        return super().run_validation(data)

    def to_internal_value(self, data: Any) -> str:
        if not isinstance(data, str):
            self.fail("invalid")
        return str(super().to_internal_value(data))


class EmailField(TextField):
    """An e-mail address. Which ones are taken, services say."""


class RoleSerializer(serializers.Serializer[Role]):
    """A role."""

    id = serializers.ChoiceField(choices=Role.values)
    name = serializers.ChoiceField(choices=ROLE_NAMES)


class ChoiceField(serializers.ChoiceField):
    """One of a few words. The refusal names them, and does not repeat what was sent: that may be
    long, or half a character that no answer can carry."""

    def __init__(self, choices: Sequence[str], **facts: Any) -> None:
        sentence = f"Choose one of: {', '.join(choices)}."
        super().__init__(choices, error_messages={"invalid_choice": sentence}, **facts)


_ID = re.compile("[0-9]{1,18}")
"""Ids are drawn with nine digits; none has more than these."""
ID_IN_DIGITS = f"^{_ID.pattern}$"


class IdField(serializers.IntegerField):
    """An id, as a number or in the digits that everybody can read."""

    def to_internal_value(self, data: Any) -> int:
        if isinstance(data, str) and not _ID.fullmatch(data):
            self.fail("invalid")
        if isinstance(data, float) and data.is_integer():
            data = int(data)  # else 1e17 is refused: Python spells it like that
        return super().to_internal_value(data)


class BooleanField(serializers.BooleanField):
    """true or false, and no other spelling: what a number or a word means is not guessed."""

    def to_internal_value(self, data: Any) -> bool:
        if type(data) is not bool:
            self.fail("invalid", input=data)
        return data


def auth_types_of(member: Membership) -> list[str]:
    """How a member, one of `accounts.api.representations`, signs in to this account."""
    if member.is_forced:  # type: ignore[attr-defined]  # an annotation
        return ["sso"]
    ways = {"password": member.user.has_usable_password(), "sso": member.uses_sso}
    return [way for way, is_there in ways.items() if is_there]


def role_as_json(role: Role) -> dict[str, Any]:
    return {"id": role.value, "name": role.label}


class RoleField(serializers.Field[Role, Any, dict[str, Any], Any]):
    """Reads `{"id": 2}`, `{"name": "Users"}` or both, if they mean the same role. The one that is
    null counts as left out."""

    default_error_messages = {"invalid": "Invalid role: {role}"}

    def to_internal_value(self, data: Any) -> Role:
        if not isinstance(data, dict):
            self.fail("invalid", role=_shown(data))
        named = {key: data[key] for key in ("id", "name") if data.get(key) is not None}
        role = next((each for each in Role if named and _is_named(each, named)), None)
        if role is None:
            self.fail("invalid", role=", ".join(_shown(each) for each in named.values() or [data]))
        return role

    def to_representation(self, value: Any) -> dict[str, Any]:
        return role_as_json(Role(value))


def _shown(value: Any) -> str:
    """What was sent, short enough for a sentence and without the halves of characters."""
    return str(value)[:100].encode(errors="replace").decode()


def _is_named(role: Role, named: dict[str, Any]) -> bool:
    spellings = _spellings(role)
    return all(
        type(value) in (int, float, str) and value in spellings[key] for key, value in named.items()
    )


def _spellings(role: Role) -> dict[str, list[Any]]:
    """What names the role, by key: its id also in digits."""
    return {"id": [role.value, str(role.value)], "name": [role.label]}


def role_request_schema() -> dict[str, Any]:
    """The schema of what `RoleField` reads. Either key is enough, and the other may be null."""
    pairs: list[dict[str, Any]] = [
        {
            "required": [key],
            "properties": {
                name: {"enum": list(texts) if name == key else [*texts, None]}
                for name, texts in _spellings(role).items()
            },
        }
        for role in Role
        for key in ("id", "name")
    ]
    return {
        "type": "object",
        "description": "A role: `id`, `name`, or both if they refer to the same role.",
        "anyOf": pairs,
    }


class RoleFieldSchema(OpenApiSerializerFieldExtension):  # type: ignore[no-untyped-call]
    target_class = RoleField

    def map_serializer_field(self, auto_schema: Any, direction: str) -> Any:
        if direction == "request":
            return {"$ref": "#/components/schemas/RoleRequest"}
        return auto_schema.resolve_serializer(RoleSerializer, direction).ref


class IdFieldSchema(OpenApiSerializerFieldExtension):  # type: ignore[no-untyped-call]
    target_class = IdField

    def map_serializer_field(self, auto_schema: Any, direction: str) -> dict[str, Any]:
        return {"oneOf": [{"type": "integer"}, {"type": "string", "pattern": ID_IN_DIGITS}]}


class TextFieldSchema(OpenApiSerializerFieldExtension):  # type: ignore[no-untyped-call]
    target_class = TextField
    match_subclasses = True

    def map_serializer_field(self, auto_schema: Any, direction: str) -> dict[str, Any]:
        field = self.target
        schema: dict[str, Any] = {"type": "string"}
        if isinstance(field, EmailField):
            schema["format"] = "email"
        else:
            schema["pattern"] = field.pattern
        if not field.allow_blank:
            schema["minLength"] = 1
        if field.max_length:
            schema["maxLength"] = field.max_length
        return schema


class AccountRoleSerializer(serializers.Serializer[Membership]):
    """One of the accounts a user belongs to."""

    client_id = serializers.IntegerField(source="account_id")
    client_company_name = serializers.CharField(source="account.name")
    user_id = serializers.IntegerField()
    user_roles = serializers.SerializerMethodField()

    @extend_schema_field({"type": "array", "items": {"type": "string", "enum": ROLE_IDS}})
    def get_user_roles(self, member: Membership) -> list[str]:
        return [str(member.role)]


class UserSerializer(serializers.Serializer[Membership]):
    """A user as a member of one account.

    `activated` is false for an address that wasn't confirmed, and for someone who was invited but
    hasn't accepted yet.
    """

    id = serializers.IntegerField(source="user.pk")
    email = serializers.EmailField(source="user.email")
    name = serializers.CharField(source="user.name")
    lang = serializers.ChoiceField(Language.values, source="user.language")
    phone = serializers.CharField(source="user.phone")
    company = serializers.CharField(source="account.name")
    reseller = serializers.SerializerMethodField()
    client = serializers.IntegerField(source="account_id")
    deleted = serializers.BooleanField(source="is_removed")
    groups = serializers.SerializerMethodField()
    activated = serializers.BooleanField(source="is_confirmed")
    sso_auth = serializers.SerializerMethodField(
        help_text=(
            "Whether the user has signed in through the account's identity provider, or has to."
        )
    )
    two_fa = serializers.BooleanField(source="has_two_factors")
    auth_types = serializers.SerializerMethodField(help_text="How the user signs in.")
    user_type = serializers.SerializerMethodField()
    is_active = serializers.BooleanField(source="user.is_active")

    def get_reseller(self, member: Membership) -> int:
        return 0

    @extend_schema_field(RoleSerializer(many=True))
    def get_groups(self, member: Membership) -> list[dict[str, Any]]:
        return [role_as_json(member.held_role)]

    def get_sso_auth(self, member: Membership) -> bool:
        return "sso" in auth_types_of(member)

    @extend_schema_field({"type": "array", "items": {"type": "string", "enum": list(AUTH_TYPES)}})
    def get_auth_types(self, member: Membership) -> list[str]:
        return auth_types_of(member)

    @extend_schema_field({"type": "string", "enum": ["common"]})
    def get_user_type(self, member: Membership) -> str:
        return "common"


class UserAndAccountsSerializer(UserSerializer):
    """A user, with those of their accounts that the caller can see."""

    # These are what the context's `memberships` names, or the one account that both are in.

    client_and_roles = serializers.SerializerMethodField()

    @extend_schema_field(AccountRoleSerializer(many=True))
    def get_client_and_roles(self, member: Membership) -> Any:
        memberships = self.context.get("memberships") or [member]
        return [AccountRoleSerializer(each).data for each in memberships]


class UserPageSerializer(serializers.Serializer[Any]):
    """A part of a list of users. `next` and `previous` are paths, or null at the ends."""

    count = serializers.IntegerField()
    next = serializers.CharField(allow_null=True)
    previous = serializers.CharField(allow_null=True)
    results = UserAndAccountsSerializer(many=True)


class ChangedUserSerializer(serializers.Serializer[Any]):
    """Changes to the user's own profile; omitted fields stay the same."""

    auth_types = serializers.ListField(
        child=ChoiceField(AUTH_TYPES),
        required=False,
        max_length=len(AUTH_TYPES),
        help_text="Depends on how you sign in. It may be sent unchanged but can't be changed.",
    )
    email = EmailField(
        required=False,
        max_length=254,
        help_text="A new address must be confirmed first; until then the current one stays in use.",
    )
    lang = ChoiceField(Language.values, required=False)
    name = TextField(
        max_length=150, required=False, allow_blank=True, allow_null=True, characters=LINE
    )
    phone = TextField(
        max_length=32, required=False, allow_blank=True, allow_null=True, characters=PHONE
    )


class InvitationSerializer(serializers.Serializer[Any]):
    """The person to invite, and their role."""

    client_id = IdField(help_text="Your account's ID.")
    email = EmailField(max_length=254)
    user_role = RoleField(help_text="Equal to or lower than yours, by ID or name.")
    lang = ChoiceField(Language.values, required=False, default=Language.ENGLISH.value)
    name = TextField(
        max_length=150,
        required=False,
        allow_blank=True,
        allow_null=True,
        default="",
        characters=LINE,
    )


class InvitedSerializer(serializers.Serializer[Any]):
    status = serializers.ChoiceField(["sent"])
    user_id = serializers.IntegerField()


class UserRoleSerializer(serializers.Serializer[Any]):
    """The role of a user in an account."""

    user_role = RoleField()


class SignInSerializer(serializers.Serializer[AuditEvent]):
    """One attempt to sign in, successful or not."""

    id = serializers.IntegerField(source="pk")
    login_at = serializers.DateTimeField(source="at", default_timezone=UTC)
    ip_address = serializers.SerializerMethodField()
    user_agent = serializers.SerializerMethodField()
    is_successful = serializers.SerializerMethodField()
    auth_type = serializers.SerializerMethodField()
    user = serializers.IntegerField(source="subject_id")

    def get_ip_address(self, event: AuditEvent) -> str:
        return event.address or ""

    def get_user_agent(self, event: AuditEvent) -> str:
        return str(event.details.get("user_agent", ""))

    def get_is_successful(self, event: AuditEvent) -> bool:
        return event.kind == SIGNED_IN

    def get_auth_type(self, event: AuditEvent) -> str:
        return str(event.details.get("auth_type", "password"))


class SignInPageSerializer(serializers.Serializer[Any]):
    """A part of the list of sign-ins, newest first."""

    count = serializers.IntegerField()
    next = serializers.CharField(allow_null=True)
    previous = serializers.CharField(allow_null=True)
    result = SignInSerializer(many=True)


class AccountSerializer(serializers.Serializer[Account]):
    """The caller's account. The portal sells nothing: fields about services are empty."""

    # Context: `member` (who asks), `visible` (whom they may see).

    id = serializers.IntegerField(source="pk")
    email = serializers.SerializerMethodField()
    name = serializers.SerializerMethodField()
    status = serializers.SerializerMethodField()
    companyName = serializers.CharField(source="name")
    deleted = serializers.SerializerMethodField()
    is_test = serializers.SerializerMethodField()
    has_active_admin = serializers.SerializerMethodField()
    currentUser = serializers.SerializerMethodField()
    capabilities = serializers.SerializerMethodField()
    serviceStatuses = serializers.SerializerMethodField()
    paidFeatures = serializers.SerializerMethodField()
    freeFeatures = serializers.SerializerMethodField()
    entryBaseDomain = serializers.SerializerMethodField()
    bill_type = serializers.SerializerMethodField()
    users = serializers.SerializerMethodField()

    def get_email(self, account: Account) -> str:
        first = self._first_administrator()
        return first.user.email if first else ""

    def get_name(self, account: Account) -> str:
        first = self._first_administrator()
        return first.user.name if first else ""

    @extend_schema_field({"type": "string", "enum": ["active"]})
    def get_status(self, account: Account) -> str:
        return "active"

    def get_deleted(self, account: Account) -> bool:
        return account.closed_at is not None

    def get_is_test(self, account: Account) -> bool:
        return False

    def get_has_active_admin(self, account: Account) -> bool:
        return self._first_administrator() is not None

    def get_currentUser(self, account: Account) -> int:
        member: Membership = self.context["member"]
        return member.user_id

    def get_capabilities(self, account: Account) -> list[str]:
        return []

    @extend_schema_field(OpenApiTypes.OBJECT)
    def get_serviceStatuses(self, account: Account) -> dict[str, Any]:
        return {}

    @extend_schema_field(OpenApiTypes.OBJECT)
    def get_paidFeatures(self, account: Account) -> dict[str, Any]:
        return {}

    @extend_schema_field(OpenApiTypes.OBJECT)
    def get_freeFeatures(self, account: Account) -> dict[str, Any]:
        return {}

    @extend_schema_field({"type": "string", "nullable": True})
    def get_entryBaseDomain(self, account: Account) -> None:
        return None

    def get_bill_type(self, account: Account) -> str:
        return "common"

    @extend_schema_field(UserSerializer(many=True))
    def get_users(self, account: Account) -> Any:
        return UserSerializer(self.context["visible"], many=True).data

    def _first_administrator(self) -> Membership | None:
        known: Membership | None
        if "first" not in self.context:
            member: Membership = self.context["member"]
            present = Membership.objects.present().filter(account=member.account_id)
            administrators = present.filter(role=Role.ADMINISTRATORS).select_related("user")
            self.context["first"] = administrators.order_by("pk").first()
        known = self.context["first"]
        return known
