import zoneinfo
from typing import Any, NamedTuple

from django import forms
from django.utils.translation import gettext_lazy as _

from accounts.emails import normal_email
from accounts.languages import catalogue_for
from accounts.models import Account, Language, User
from accounts.roles import Role
from accounts.text import validate_line


def time_zone_choices() -> list[tuple[str, str]]:
    """Every zone of the IANA database that a person may pick, by name."""
    names = sorted(name for name in zoneinfo.available_timezones() if "/" in name)
    shown = [name for name in names if not name.startswith(("Etc/", "SystemV/", "US/"))]
    return [("UTC", "UTC"), *((name, name.replace("_", " ")) for name in shown)]


def language_choices() -> list[tuple[str, str]]:
    """The languages whose catalogue is there."""
    return [(code, label) for code, label in Language.choices if is_spoken(code)]


class ProfileForm(forms.ModelForm):  # type: ignore[type-arg]  # generic in the stubs only
    time_zone = forms.ChoiceField(
        label=_("Time zone"),
        choices=time_zone_choices,
        help_text=_("Dates and times are shown in this zone; an expiration date ends in it."),
    )
    language = forms.ChoiceField(label=_("Language"), choices=language_choices)

    class Meta:
        model = User
        fields = ["name", "phone", "language", "time_zone"]
        labels = {"name": _("Name"), "phone": _("Phone")}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["name"].widget.attrs["autocomplete"] = "name"
        self.fields["phone"].widget = forms.TextInput(
            {"type": "tel", "autocomplete": "tel", "maxlength": "32"}
        )
        # A zone that left the list (a renamed one) stays choosable for whoever has it.
        zone = self.instance.time_zone
        field = self.fields["time_zone"]
        assert isinstance(field, forms.ChoiceField)
        if zone not in dict(time_zone_choices()):
            field.choices = [(zone, zone), *time_zone_choices()]


def is_spoken(language: str) -> bool:
    """True if the portal has a catalogue for this language of the API."""
    return language == Language.ENGLISH or catalogue_for(language) != "en"


class RoleChoice(NamedTuple):
    """One role of a form: `value` is its id."""

    value: int
    label: str
    explanation: str
    checked: bool


class RoleForm(forms.Form):
    """The role of a member. Every role is understood here; the verb decides."""

    role = forms.TypedChoiceField(
        label=_("Role"),
        choices=Role.choices,
        coerce=lambda value: Role(int(value)),
        error_messages={
            "required": _("Choose a role."),
            "invalid_choice": _("Choose a role from the list."),
        },
    )

    @property
    def role_choices(self) -> list[RoleChoice]:
        chosen = str(self["role"].value() or "")
        return [
            RoleChoice(role.value, role.label, role.explanation, str(role.value) == chosen)
            for role in Role
        ]


class InvitationForm(RoleForm):
    """Whom to invite, and as what."""

    email = forms.CharField(
        label=_("E-mail"),
        max_length=254,
        error_messages={"required": _("Enter the e-mail address of the person.")},
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
        help_text=_("The mail is in this language, if the person is new here."),
    )

    field_order = ["email", "name", "language", "role"]

    def clean_email(self) -> str:
        return normal_email(self.cleaned_data["email"])


class RemovalForm(forms.Form):
    """What becomes of the API tokens of somebody who goes."""

    delete_tokens = forms.BooleanField(required=False)


class OwnAccountForm(forms.Form):
    """The account that somebody opens who belongs to none."""

    account_name = forms.CharField(
        label=_("Company name"),
        max_length=150,
        validators=[validate_line],
        error_messages={"required": _("Enter the name of the company.")},
        widget=forms.TextInput({"autocomplete": "organization"}),
    )


class AccountForm(forms.ModelForm):  # type: ignore[type-arg]  # generic in the stubs only
    class Meta:
        model = Account
        fields = ["name"]
        labels = {"name": _("Company name")}
        error_messages = {"name": {"required": _("Enter the name of the company.")}}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.fields["name"].widget.attrs["autocomplete"] = "organization"
