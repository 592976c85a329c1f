"""The form that takes a found token, for Administrators and for operators."""

from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.views.decorators.debug import sensitive_variables

from accounts.authorization.actor import Actor
from apitokens.lookup.services import Found, look_up

LONGEST = 4_000
"""Characters: a line of a log."""


class UnrepeatedInput(forms.TextInput):
    """A field that never shows what was sent."""

    def format_value(self, value: Any) -> None:
        return None


class LookUpForm(forms.Form):
    token = forms.CharField(
        label=_("API token"),
        max_length=LONGEST,
        help_text=_("The whole token, or a log line that contains it."),
        error_messages={
            "required": _("Paste a token."),
            "max_length": _("This text is too long. Paste the token alone."),
        },
        widget=UnrepeatedInput(
            {
                "autocomplete": "off",
                "spellcheck": "false",
                "autocapitalize": "none",
                "autofocus": True,
            }
        ),
    )

    @sensitive_variables()
    def find(self, *, by: Actor) -> Found | None:
        """The token that was pasted; None, with an error, if there is none."""
        if not self.is_valid():
            return None
        try:
            return look_up(text=self.cleaned_data["token"], by=by, at=timezone.now())
        except ValidationError as refusal:
            self.add_error("token", refusal)
            return None
