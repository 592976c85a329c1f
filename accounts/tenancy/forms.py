"""The form with which a person who belongs to no account opens one."""

from django import forms
from django.utils.translation import gettext_lazy as _

from accounts.validators import validate_line


class OwnAccountForm(forms.Form):
    """The name of an own account."""

    account_name = forms.CharField(
        label=_("Company name"),
        max_length=150,
        validators=[validate_line],
        error_messages={"required": _("Enter the name of the company.")},
        widget=forms.TextInput({"autocomplete": "organization"}),
    )
