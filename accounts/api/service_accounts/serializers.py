"""The shapes of service accounts on the wire."""

from datetime import UTC
from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from accounts.api.serializers import (
    LINE,
    PARAGRAPHS,
    BooleanField,
    EmailField,
    IdField,
    RoleField,
    TextField,
)
from accounts.models import ContactStatus, ServiceAccount
from accounts.service_accounts.services import MOST_ISSUERS


@extend_schema_field({"type": "string", "enum": list(ContactStatus)})
class ContactStatusField(serializers.CharField):
    """One of a few words."""


class ServiceAccountSerializer(serializers.Serializer[ServiceAccount]):
    """An issuer of API tokens that is no person. Its `id` and `email` are those in the
    `client_user` of its tokens; no email can reach the address."""

    id = serializers.IntegerField(source="membership.user_id")
    name = serializers.CharField()
    email = serializers.EmailField(source="membership.user.email")
    description = serializers.CharField()
    role = RoleField(source="held_role")
    contact = serializers.SerializerMethodField(help_text="The ID of a user, or null.")
    contact_email = serializers.CharField()
    contact_email_status = ContactStatusField(
        source="contact_status",
        help_text="Whether the owner of contact_email has agreed to get notifications: pending, "
        "confirmed or declined; empty without a contact_email.",
    )
    issuers = serializers.SerializerMethodField(
        help_text=(
            "The IDs of the users who may issue and manage its tokens, in addition to "
            "Administrators."
        )
    )
    is_active = serializers.BooleanField(
        source="is_on", help_text="False while it is turned off: its tokens don't work."
    )
    created = serializers.DateTimeField(source="membership.created_at", default_timezone=UTC)
    active_tokens = serializers.SerializerMethodField()

    def get_contact(self, service_account: ServiceAccount) -> int | None:
        contact = service_account.contact
        return contact.user_id if contact else None

    def get_issuers(self, service_account: ServiceAccount) -> list[int]:
        return sorted(each.user_id for each in service_account.issuers.all())

    def get_active_tokens(self, service_account: ServiceAccount) -> int:
        counts: dict[int, int] = self.context["counts"]
        return counts.get(service_account.pk, 0)


class ServiceAccountPageSerializer(serializers.Serializer[Any]):
    """A part of such a list. `next` and `previous` are paths, or null at the ends."""

    count = serializers.IntegerField()
    next = serializers.CharField(allow_null=True)
    previous = serializers.CharField(allow_null=True)
    results = ServiceAccountSerializer(many=True)


class NewServiceAccountSerializer(serializers.Serializer[Any]):
    """A service account to make. Give a contact or a contact_email, or neither."""

    name = TextField(max_length=150, characters=LINE, help_text="What it is called in lists.")
    role = RoleField(help_text="The highest role that its tokens can have.")
    description = TextField(
        max_length=2000, characters=PARAGRAPHS, required=False, allow_blank=True, default=""
    )
    contact = IdField(
        required=False,
        allow_null=True,
        default=None,
        help_text="The ID of a user of the account who gets its notifications.",
    )
    contact_email = EmailField(
        required=False,
        allow_blank=True,
        max_length=254,
        default="",
        help_text="An address that gets its notifications once it has confirmed: it is asked by "
        "email.",
    )
    issuers = serializers.ListField(
        child=IdField(),
        required=False,
        default=list,
        max_length=MOST_ISSUERS,
        help_text="The IDs of users who may issue and manage its tokens, up to its role, even if "
        "theirs is lower.",
    )


class EditedServiceAccountSerializer(serializers.Serializer[Any]):
    """What is to change; what is left out stays as it is."""

    name = TextField(max_length=150, characters=LINE, required=False)
    role = RoleField(required=False, help_text="Not below the role of one of its active tokens.")
    description = TextField(
        max_length=2000, characters=PARAGRAPHS, required=False, allow_blank=True
    )
    contact = IdField(required=False, allow_null=True)
    contact_email = EmailField(required=False, allow_blank=True, max_length=254)
    issuers = serializers.ListField(child=IdField(), required=False, max_length=MOST_ISSUERS)
    is_active = BooleanField(
        required=False, help_text="false turns it off, and all its tokens with it."
    )
