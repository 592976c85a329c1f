"""The form of the page "Rotate API token"."""

from typing import Any
from uuid import uuid4

from django import forms
from django.utils.translation import gettext_lazy as _

from apitokens.models import APIToken
from apitokens.pages.creation.forms import PeriodForm
from apitokens.pages.edit.forms import KEPT, NEVER, ON_DATE, ExpirationForm
from apitokens.tokens.rotation import Grace

_INCOMPLETE = _("This form is incomplete. Open the page again and fill it in.")
_DAMAGED = _("This form is damaged. Open the page again and fill it in.")


class RotateForm(ExpirationForm, PeriodForm):
    grace = forms.TypedChoiceField(
        label=_("Keep the old secret working for"),
        choices=Grace.choices,
        coerce=lambda value: Grace(int(value)),
        initial=Grace.DAY.value,
        widget=forms.RadioSelect,
        error_messages={
            "required": _("Choose how long the old secret works."),
            "invalid_choice": _("Choose how long the old secret works."),
        },
    )
    rotations = forms.IntegerField(
        min_value=0,
        widget=forms.HiddenInput,
        error_messages={"required": _INCOMPLETE, "invalid": _DAMAGED, "min_value": _DAMAGED},
    )
    form_key = forms.UUIDField(
        widget=forms.HiddenInput, error_messages={"required": _INCOMPLETE, "invalid": _DAMAGED}
    )
    field_order = ("grace", "expiration", "expires_in", "expires_on", "rotations", "form_key")

    def __init__(self, *args: Any, token: APIToken, **kwargs: Any) -> None:
        super().__init__(*args, token=token, **kwargs)
        self.fields["expires_on"].show_hidden_initial = True  # as the periods need it
        self.fields["rotations"].initial = token.rotations
        self.fields["form_key"].initial = uuid4

    def again(self, present: APIToken) -> "RotateForm":
        """The same form, filled in as it is, for the token as it is now: it can be sent again
        even if another user has rotated the token meanwhile."""
        numbers = {"rotations": present.rotations, "form_key": uuid4()}
        sent = {name: self.data[name] for name in self.data}
        form = RotateForm({**sent, **numbers}, token=present)
        form.is_valid()
        return form

    def clean(self) -> None:
        self.is_period_damaged = self.errors.pop("expires_in", None) is not None
        super().clean()

    def require_date(self) -> None:
        self.choose_date(is_damaged=self.is_period_damaged)

    def expirations(self) -> list[tuple[str, Any]]:
        never = [(NEVER, _("Never expire"))] if self.token.expires_at else []
        return [
            (KEPT, _("Keep as it is")),
            *never,
            (ON_DATE, _("Set expiration date")),
        ]
