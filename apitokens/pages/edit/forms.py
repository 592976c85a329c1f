"""The form of the page "Edit API token", and how an expiration is changed there and by rotating."""

from datetime import date, datetime, timedelta
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts.http.concurrent_edits import ConcurrentEdits
from accounts.members.forms import RoleChoice
from apitokens.addresses.forms import AddressesForm
from apitokens.models import APIToken
from apitokens.pages.creation.forms import FIELDS, FactsForm, FocusedForm
from apitokens.pages.creation.scopes import ScopesForm
from apitokens.tokens import editing, rules
from apitokens.tokens.editing import Changes
from apitokens.tokens.rotation import KEEP, Keep
from notifications.time_zones import end_of_day

KEPT, NEVER, ON_DATE = "keep", "never", "date"


class ExpirationForm(FocusedForm):
    """Keep the expiration, or choose another one."""

    expiration = forms.ChoiceField(
        label=_("Expiration"),
        widget=forms.RadioSelect,
        initial=KEPT,
        error_messages={
            "required": _("Choose whether the expiration changes."),
            "invalid_choice": _("Choose whether the expiration changes."),
        },
    )
    expires_on = forms.DateField(
        label=_("Expiration date"),
        required=False,
        widget=forms.DateInput({"type": "date"}, format="%Y-%m-%d"),
        input_formats=["%Y-%m-%d"],
        error_messages={"invalid": _("Enter a valid date in the format YYYY-MM-DD.")},
    )

    def __init__(self, *args: Any, token: APIToken, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.token = token
        self.fields["expiration"].choices = self.expirations()  # type: ignore[attr-defined]  # a field with choices
        self.fields["expires_on"].widget.attrs["min"] = timezone.localdate().isoformat()

    def expirations(self) -> list[tuple[str, Any]]:
        return [(KEPT, _("Keep as it is")), (ON_DATE, _("Set expiration date"))]

    def clean(self) -> None:
        if self.cleaned_data.get("expiration") != ON_DATE:
            self.errors.pop("expires_on", None)  # a half-typed date does not matter any more
        elif "expires_on" not in self.errors:
            self.require_date()
        if self.errors:
            self._add_what_the_service_would_refuse()

    def require_date(self) -> None:
        if not self.cleaned_data.get("expires_on"):
            self.add_error("expires_on", _("Choose the token's expiration date."))

    def mistakes(self) -> dict[str, ValidationError]:
        """What the service would refuse, by the names it has for the fields."""
        if "expires_on" in self.errors or isinstance(self.expires_at, Keep):
            return {}
        late = rules.expiration_error(self.expires_at, ends_at=None, at=timezone.now())
        return {"expires_at": late} if late else {}

    def _add_what_the_service_would_refuse(self) -> None:
        """All mistakes are told together. (Without others the service refuses, and audits it.)"""
        for name, error in self.mistakes().items():
            self.add_error(FIELDS.get(name, name), error)

    @property
    def can_change_expiration(self) -> bool:
        return len(self.expirations()) > 1

    @property
    def expires_at(self) -> datetime | Keep | None:
        """The chosen instant: the last second of the day where the person is. None is never."""
        match self.cleaned_data.get("expiration"):
            case "date":
                chosen = self.cleaned_data.get("expires_on")
                zone = timezone.get_current_timezone()
                return end_of_day(chosen, zone) if chosen else KEEP
            case "never":
                return None
        return KEEP


class EditForm(ConcurrentEdits, FactsForm, ExpirationForm, ScopesForm, AddressesForm):
    field_order = (
        *("name", "description", "role", "access", "scopes"),
        *("expiration", "expires_on", "allowed_addresses"),
    )

    def __init__(
        self, *args: Any, token: APIToken, draft: dict[str, str] | None = None, **kwargs: Any
    ) -> None:
        self.present = {
            "name": token.name,
            "description": token.description,
            "role": token.role,
            "allowed_addresses": token.allowed_addresses,
        }
        self.present_addresses = token.allowed_addresses
        super().__init__(*args, token=token, initial=self.present, **kwargs)
        self.limit_to(token.scopes, account_id=token.account_id)
        self.present = {**self.initial}
        draft = draft or {}
        typed: dict[str, Any] = {name: draft[name] for name in draft.keys() - self.untouched(draft)}
        if "scopes" in typed:
            typed["scopes"] = typed["scopes"].split()
        self.initial = {**self.initial, **typed}
        if token.expires_at:
            latest = _last_whole_day(token.expires_at)
            self.fields["expires_on"].widget.attrs["max"] = latest.isoformat()

    def expirations(self) -> list[tuple[str, Any]]:
        """An earlier date too, if there is one before the present one."""
        ends_at = self.token.expires_at
        if ends_at and _last_whole_day(ends_at) < timezone.localdate():
            return [(KEPT, _("Keep as it is"))]
        return [(KEPT, _("Keep as it is")), (ON_DATE, _("Set an earlier date"))]

    def mistakes(self) -> dict[str, ValidationError]:
        wanted = self.changes_so_far
        return editing.refusals(self.token, wanted, at=timezone.now())

    def clean_name(self) -> str:
        name: str = self.cleaned_data["name"]
        if name != self.token.name:  # what stays as it is may be of a time with other rules
            APIToken._meta.get_field("name").run_validators(name)
        return name

    def clean_description(self) -> str:
        description: str = self.cleaned_data["description"].replace("\r\n", "\n")
        if description and description != self.token.description:
            APIToken._meta.get_field("description").run_validators(description)
        return description

    @property
    def changes_so_far(self) -> dict[str, Any]:
        """The role and the expiration, as far as they were filled in well."""
        role, ends_at = self.cleaned_data.get("role"), self.expires_at
        changes: dict[str, Any] = {} if role is None else {"role": role}
        if "expires_on" not in self.errors and not isinstance(ends_at, Keep):
            changes["expires_at"] = ends_at
        return changes

    @property
    def changes(self) -> Changes:
        cleaned, ends_at = self.cleaned_data, self.expires_at
        changes: Changes = {
            "name": cleaned["name"],
            "description": cleaned["description"],
            "role": cleaned["role"],
            "scopes": self.wanted_scopes,
        }
        # A page that was opened before there were lists, or was cut, must not let more in.
        if self.add_prefix("allowed_addresses") in self.data:
            changes["allowed_addresses"] = cleaned["allowed_addresses"]
        if not isinstance(ends_at, Keep):
            changes["expires_at"] = ends_at
        return changes

    @property
    def role_choices(self) -> list[RoleChoice]:
        """The token's role and those below it, strongest first."""
        chosen = str(self["role"].value())
        return [
            RoleChoice(role.value, role.label, role.explanation, str(role.value) == chosen)
            for role in self.token.held_role.covered()
        ]


def _last_whole_day(ends_at: datetime) -> date:
    """The last day whose end, where the person is, is not after this moment."""
    zone = timezone.get_current_timezone()
    last = timezone.localtime(ends_at, zone).date()
    return last if end_of_day(last, zone) <= ends_at else last - timedelta(days=1)
