"""The form for a person who belongs to no account, and the field that chooses a member."""

from typing import Any

from django import forms
from django.utils.translation import gettext as _t
from django.utils.translation import gettext_lazy as _

from accounts.models import Membership
from accounts.validators import parse_id, validate_name


class MemberField(forms.ModelChoiceField):  # type: ignore[type-arg]  # generic in the stubs only
    """A member, by the id of the user."""

    def to_python(self, value: Any) -> Any:
        """Refuse text that is no id before the database does."""
        if value and parse_id(str(value)) is None:
            raise forms.ValidationError(
                self.error_messages["invalid_choice"], "invalid_choice", {"value": value}
            )
        return super().to_python(value)

    def label_from_instance(self, member: Membership) -> str:
        return name_of(member)


def name_of(member: Membership) -> str:
    """The name of a person, or of a service account, which is told to be one. It is also told who
    is deactivated."""
    name = str(member.user.get_full_name())
    if not member.is_service_account and not member.user.is_active:
        return _t("%(name)s (deactivated)") % {"name": name}
    if not member.is_service_account:
        return name
    return _t("%(name)s (service account)") % {"name": name}


class OwnAccountForm(forms.Form):
    """The name of an own account."""

    account_name = forms.CharField(
        label=_("Company name"),
        max_length=150,
        validators=[validate_name],
        error_messages={"required": _("Enter the company name.")},
        widget=forms.TextInput({"autocomplete": "organization"}),
    )
