"""The form of the page "Create API token"."""

from datetime import datetime
from typing import Any
from uuid import uuid4

from django import forms
from django.core.exceptions import ValidationError
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts.members.forms import RoleChoice
from accounts.roles import Role
from apitokens.addresses.forms import AddressesForm
from apitokens.models import APIToken
from apitokens.pages.creation.periods import Period, a_year_after, periods
from apitokens.pages.creation.scopes import ScopesForm
from apitokens.tokens import rules
from notifications.time_zones import end_of_day

NEVER, ON_DATE = "never", "date"
FIELDS = {"expires_at": "expires_on"}
"""The services' names of fields, as forms spell them."""


class FocusedForm(forms.Form):
    """A form in which the browser begins at one field: the first that is wrong, if one is."""

    focused = ""

    def focus(self, field: str) -> None:
        """Have the browser begin there. (A group of options has no widget that could.)"""
        self.focused = field
        for name, each in self.fields.items():
            if not (each.widget.is_hidden or isinstance(each.widget, forms.RadioSelect)):
                each.widget.attrs["autofocus"] = name == field

    def focus_first_mistake(self) -> None:
        shown = [field for field in self.visible_fields() if field.name in self.fields]
        wrong = (field.name for field in shown if field.errors)
        self.focus(next(wrong, shown[0].name))


def word(refusal: ValidationError, form: forms.Form) -> None:
    """Put the refusal of a service to the fields it names."""
    if not hasattr(refusal, "error_dict"):
        form.add_error(None, refusal)
        return
    for field, errors in refusal.error_dict.items():
        name = FIELDS.get(field, field)
        form.add_error(name if name in form.fields else None, errors)


class FactsForm(FocusedForm):
    """What a token is called, and may do."""

    name = forms.CharField(
        label=_("Token name"),
        max_length=255,
        error_messages={
            "required": _("Enter a name."),
            "max_length": _("The name is too long. Use at most %(limit_value)d characters."),
        },
        widget=forms.TextInput({"autocomplete": "off"}),
    )
    description = forms.CharField(
        label=_("Description"),
        max_length=2000,
        required=False,
        error_messages={
            "max_length": _("The description is too long. Use at most %(limit_value)d characters."),
        },
        widget=forms.Textarea({"rows": 3}),
    )
    # Every role is understood here; which ones may be given the service decides.
    role = forms.TypedChoiceField(
        label=_("Role"),
        choices=Role.choices,
        coerce=lambda value: Role(int(value)),
        error_messages={
            "required": _("Choose a role."),
            "invalid_choice": _("Choose a role from the list."),
        },
    )


class PeriodForm(FocusedForm):
    """A form that offers periods beside its date `expires_on`, which has a hidden initial value."""

    # A period is sent as the date that it ends on, which stands beside it: a page that was opened
    # yesterday means what it shows.
    expires_in = forms.DateField(required=False, input_formats=["%Y-%m-%d"])

    @property
    def periods(self) -> list[Period]:
        """The periods to choose from, with the one that ends on the date of the field chosen."""
        return periods(timezone.localdate(), chosen=self["expires_on"].value())

    @property
    def is_other_date(self) -> bool:
        return not any(period.is_chosen for period in self.periods)

    def choose_date(self, *, is_damaged: bool) -> None:
        """Take the period, or the date if it was typed. (With scripts both are always the same.)"""
        period, typed = self.cleaned_data.get("expires_in"), self.cleaned_data.get("expires_on")
        shown = str(self.data.get(self["expires_on"].html_initial_name, ""))
        is_typed = typed is not None and str(typed) != shown
        if is_typed and period not in (None, typed) and str(period) != shown:
            self.add_error("expires_on", _("This isn't the period you chose. Check the date."))
            return
        chosen = typed if is_typed or period is None else period
        if chosen is None or is_damaged:
            self.add_error("expires_on", _("Choose the token's expiration date."))
            return
        self.cleaned_data["expires_on"] = chosen
        self.data = {
            **{name: self.data[name] for name in self.data},  # of a repeated field the last
            "expires_on": chosen.isoformat(),
            self["expires_on"].html_initial_name: chosen.isoformat(),
        }


def initial_from(token: APIToken, *, own_role: Role) -> dict[str, Any]:
    """What the form of a similar token begins with: all but the expiration, and a role that its
    issuer may not give."""
    facts: dict[str, Any] = {
        "name": token.name,
        "description": token.description,
        "scopes": token.scopes,
        "allowed_addresses": token.allowed_addresses,
    }
    return facts | ({"role": token.role} if token.held_role in own_role.covered() else {})


class TokenForm(FactsForm, PeriodForm, ScopesForm, AddressesForm):
    field_order = (
        *("name", "description", "role", "access", "scopes"),
        *("expiration", "expires_in", "expires_on", "allowed_addresses", "form_key"),
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
        show_hidden_initial=True,  # tells a date that was typed from the one that stood there
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

    def __init__(self, *args: Any, own_role: Role, account_id: int, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.own_role = own_role
        self.limit_to(None, account_id=account_id)
        today = timezone.localdate()
        self.fields["role"].initial = own_role.covered()[-1]
        self.fields["expires_on"].initial = a_year_after(today)
        self.fields["expires_on"].widget.attrs["min"] = today.isoformat()
        self.fields["form_key"].initial = uuid4
        self.focus("name")

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
        """All mistakes are told together, so what else the service would refuse is asked here."""
        is_damaged = self.errors.pop("expires_in", None) is not None
        if self.cleaned_data.get("expiration") != ON_DATE:
            self.errors.pop("expires_on", None)  # a half-typed date does not matter any more
        elif "expires_on" not in self.errors:
            self.choose_date(is_damaged=is_damaged)
        if self.cleaned_data.get("expiration") == ON_DATE and "expires_on" not in self.errors:
            late = rules.expiration_error(self.expires_at, ends_at=None, at=timezone.now())
            self._add("expires_on", late)
        role = self.cleaned_data.get("role")
        if self.errors and role is not None:
            self._add("role", rules.role_error(role, ceiling=self.own_role))

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

    def _add(self, field: str, error: ValidationError | None) -> None:
        if error is not None:
            self.add_error(field, error)
