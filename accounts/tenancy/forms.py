"""The form for a person who belongs to no account, and what fields call a member."""

from django import forms
from django.utils.translation import gettext as _t
from django.utils.translation import gettext_lazy as _

from accounts.models import Membership
from accounts.validators import validate_name


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
