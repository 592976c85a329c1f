"""The form for a person who belongs to no account."""

from django import forms
from django.utils.translation import gettext_lazy as _

from accounts.validators import validate_line


class OwnAccountForm(forms.Form):
    """The account that somebody opens who belongs to none."""

    account_name = forms.CharField(
        label=_("Company name"),
        max_length=150,
        validators=[validate_line],
        error_messages={"required": _("Enter the name of the company.")},
        widget=forms.TextInput({"autocomplete": "organization"}),
    )
