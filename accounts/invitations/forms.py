"""The form of an invitation."""

from django import forms
from django.utils.translation import gettext_lazy as _

from accounts.email_addresses import normal_email
from accounts.members.forms import RoleForm
from accounts.users.forms import language_choices


class InvitationForm(RoleForm):
    """The person to invite, and their role."""

    email = forms.CharField(
        label=_("Email"),
        max_length=254,
        error_messages={"required": _("Enter the person's email address.")},
        widget=forms.TextInput(
            {"type": "email", "autocomplete": "off", "autocapitalize": "off", "autofocus": True}
        ),
    )
    name = forms.CharField(
        label=_("Name"),
        max_length=150,
        required=False,
        widget=forms.TextInput({"autocomplete": "off"}),
    )
    language = forms.ChoiceField(
        label=_("Language"),
        choices=language_choices,
        help_text=_("Language of the invitation email, if the person is new to the portal."),
    )

    field_order = ["email", "name", "language", "role"]

    def clean_email(self) -> str:
        return normal_email(self.cleaned_data["email"])
