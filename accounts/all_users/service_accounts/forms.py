"""The form of a service account."""

from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from accounts.members.forms import RoleForm
from accounts.models import Membership, ServiceAccount
from accounts.roles import Role
from accounts.service_accounts.services import Changes, looking_after
from accounts.tenancy.forms import MemberField, name_of
from accounts.text.expressions import in_order
from accounts.validators import parse_id


class MembersField(forms.ModelMultipleChoiceField):  # type: ignore[type-arg]  # generic in the stubs only
    """Members, by the ids of the users."""

    def clean(self, value: Any) -> Any:
        """Refuse text that is no id before the database does."""
        wrong = next((each for each in value or [] if parse_id(str(each)) is None), None)
        if wrong is not None:
            raise forms.ValidationError(
                self.error_messages["invalid_choice"], "invalid_choice", {"value": wrong}
            )
        return super().clean(value)

    def label_from_instance(self, member: Membership) -> str:
        return f"{name_of(member)} · {member.held_role.label}"


class ServiceAccountForm(RoleForm):
    """What a service account is called, may do, and who looks after it. The service validates."""

    name = forms.CharField(
        label=_("Name"),
        max_length=150,
        error_messages={"required": _("Enter a name.")},
        widget=forms.TextInput({"autocomplete": "off", "autofocus": True}),
    )
    description = forms.CharField(
        label=_("Description"),
        max_length=2000,
        required=False,
        widget=forms.Textarea({"rows": 3}),
    )
    contact = MemberField(
        label=_("Contact"),
        queryset=Membership.objects.none(),
        to_field_name="user_id",
        required=False,
        empty_label=_("No one"),
        help_text=_("Gets the notifications about its API tokens, as Administrators do."),
    )
    contact_email = forms.CharField(
        label=_("Contact address"),
        max_length=254,
        required=False,
        help_text=_(
            "Or an address that gets them by email, such as that of a team. It is asked to confirm "
            "first."
        ),
        widget=forms.TextInput({"type": "email", "autocomplete": "off", "autocapitalize": "off"}),
    )
    issuers = MembersField(
        label=_("Members who may issue API tokens for it"),
        queryset=Membership.objects.none(),
        to_field_name="user_id",
        required=False,
        widget=forms.CheckboxSelectMultiple,
        help_text=_(
            "They create and manage its tokens, with roles up to its own, even if theirs is "
            "lower. Administrators always can."
        ),
    )

    field_order = ["name", "description", "role", "contact", "contact_email", "issuers"]

    def __init__(
        self,
        *args: Any,
        account_id: int,
        service_account: ServiceAccount | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        named = looking_after(service_account) if service_account else []
        people = Membership.objects.present() | Membership.objects.filter(pk__in=named)
        ours = people.filter(account=account_id).select_related("user")
        members = ours.order_by(*in_order("user__name", "user__email"), "pk")
        for field in ("contact", "issuers"):
            self.fields[field].queryset = members  # type: ignore[attr-defined]  # of members
        self.has_candidates = members.exclude(role=Role.ADMINISTRATORS).exists()

    @property
    def changes(self) -> Changes:
        """What was filled in, for the service."""
        changes: Changes = {**self.cleaned_data}  # type: ignore[typeddict-item]  # by its fields
        changes["description"] = changes["description"].replace("\r\n", "\n")
        return changes


def as_it_is(service_account: ServiceAccount) -> dict[str, Any]:
    """The first values of the form."""
    contact = service_account.contact
    return {
        "name": service_account.name,
        "description": service_account.description,
        "role": service_account.membership.role,
        "contact": contact.user_id if contact else None,
        "contact_email": service_account.contact_email,
        "issuers": [each.user_id for each in service_account.issuers.all()],
    }
