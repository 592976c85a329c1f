"""The forms of the pages "Create API token" and "API tokens"."""

import calendar
from datetime import date, datetime
from typing import Any
from uuid import uuid4

from django import forms
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts.members.forms import RoleChoice
from accounts.roles import Role
from apitokens.models import APIToken, Density
from apitokens.preferences import services as preferences
from notifications.time_zones import end_of_day

NEVER, ON_DATE = "never", "date"
# The services' names of fields, as this form spells them.
FIELDS = {"expires_at": "expires_on"}


class TokenForm(forms.Form):
    name = forms.CharField(
        label=_("Token name"),
        max_length=255,
        error_messages={"required": _("Enter a name for the token.")},
        widget=forms.TextInput({"autocomplete": "off", "autofocus": True}),
    )
    description = forms.CharField(
        label=_("Description"),
        max_length=2000,
        required=False,
        widget=forms.Textarea({"rows": 3}),
    )
    # Every role is understood here; which ones this member may give away the service decides.
    role = forms.TypedChoiceField(
        label=_("Role"),
        choices=Role.choices,
        coerce=lambda value: Role(int(value)),
        error_messages={
            "required": _("Choose a role."),
            "invalid_choice": _("Choose a role from the list."),
        },
    )
    expiration = forms.ChoiceField(
        label=_("Expiration"),
        choices=[(NEVER, _("Never expire")), (ON_DATE, _("Set expiration date"))],
        widget=forms.RadioSelect,
        initial=ON_DATE,
        error_messages={
            "required": _("Choose whether the token should expire."),
            "invalid_choice": _("Choose whether the token should expire."),
        },
    )
    expires_on = forms.DateField(
        label=_("Expiration date"),
        required=False,
        widget=forms.DateInput({"type": "date"}, format="%Y-%m-%d"),
        input_formats=["%Y-%m-%d"],
        error_messages={"invalid": _("Enter a valid date in the format YYYY-MM-DD.")},
    )
    form_key = forms.UUIDField(
        widget=forms.HiddenInput,
        error_messages={
            "required": _("This form is incomplete. Reload the page and fill it in again."),
            "invalid": _("This form is damaged. Reload the page and fill it in again."),
        },
    )

    def __init__(self, *args: Any, own_role: Role, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.own_role = own_role
        today = timezone.localdate()
        self.fields["role"].initial = own_role.covered()[-1]
        self.fields["expires_on"].initial = a_year_after(today)
        self.fields["expires_on"].widget.attrs["min"] = today.isoformat()
        self.fields["form_key"].initial = uuid4

    def clean_name(self) -> str:
        name: str = self.cleaned_data["name"]
        APIToken._meta.get_field("name").run_validators(name)
        return name

    def clean_description(self) -> str:
        description: str = self.cleaned_data["description"].replace("\r\n", "\n")
        if description:
            APIToken._meta.get_field("description").run_validators(description)
        return description

    def clean(self) -> None:
        cleaned = self.cleaned_data
        wants_date = cleaned.get("expiration") == ON_DATE
        if wants_date and not cleaned.get("expires_on") and "expires_on" not in self.errors:
            self.add_error("expires_on", _("Choose the token's expiration date."))
        if not wants_date:
            self.errors.pop("expires_on", None)  # a half-typed date does not matter any more

    @property
    def expires_at(self) -> datetime | None:
        """The chosen instant: the last second of the day where the person is. None is never."""
        if self.cleaned_data["expiration"] == NEVER:
            return None
        return end_of_day(self.cleaned_data["expires_on"], timezone.get_current_timezone())

    @property
    def role_choices(self) -> list[RoleChoice]:
        """The roles this member may give away, strongest first."""
        chosen = str(self["role"].value())
        return [
            RoleChoice(role.value, role.label, role.explanation, str(role.value) == chosen)
            for role in self.own_role.covered()
        ]


class ViewForm(forms.Form):
    """One change of how the list of tokens looks."""

    show = forms.ChoiceField(choices=preferences.CHOICES.items, required=False)
    hide = forms.ChoiceField(choices=preferences.CHOICES.items, required=False)
    density = forms.ChoiceField(choices=Density.choices, required=False)

    def changed(self, before: preferences.Preferences) -> preferences.Preferences:
        cleaned = self.cleaned_data
        columns = {*before.columns, cleaned["show"]} - {cleaned["hide"]}
        return preferences.Preferences(
            tuple(columns), Density(cleaned["density"] or before.density)
        )


def a_year_after(day: date) -> date:
    """The same day of the next year (28 February after the 29th)."""
    last = calendar.monthrange(day.year + 1, day.month)[1]
    return day.replace(year=day.year + 1, day=min(day.day, last))
