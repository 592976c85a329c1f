"""The form for a person who belongs to no account."""

from django import forms
from django.utils.translation import gettext_lazy as _

from accounts.validators import validate_name


class OwnAccountForm(forms.Form):
    """The name of an own account."""

    account_name = forms.CharField(
        label=_("Company name"),
        max_length=150,
        validators=[validate_name],
        error_messages={"required": _("Enter the company name.")},
        widget=forms.TextInput({"autocomplete": "organization"}),
    )
