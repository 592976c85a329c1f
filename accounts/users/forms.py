"""The form of the page My profile."""

import zoneinfo
from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from accounts.languages import catalogue_for
from accounts.models import Language, User


def time_zone_choices() -> list[tuple[str, str]]:
    """The zones of the IANA database that people can choose, by name."""
    names = sorted(name for name in zoneinfo.available_timezones() if "/" in name)
    shown = [name for name in names if not name.startswith(("Etc/", "SystemV/", "US/"))]
    return [("UTC", "UTC"), *((name, name.replace("_", " ")) for name in shown)]


def language_choices() -> list[tuple[str, str]]:
    """The languages that have a translation catalogue."""
    return [(code, label) for code, label in Language.choices if has_catalogue(code)]


class ProfileForm(forms.ModelForm):  # type: ignore[type-arg]  # generic in the stubs only
    time_zone = forms.ChoiceField(
        label=_("Time zone"),
        choices=time_zone_choices,
        help_text=_(
            "Dates and times are shown in this time zone. Expiration dates end at the "
            "end of the day in this zone."
        ),
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
        # A zone that left the list (a renamed one) stays a choice for users who have it.
        zone = self.instance.time_zone
        field = self.fields["time_zone"]
        assert isinstance(field, forms.ChoiceField)
        if zone not in dict(time_zone_choices()):
            field.choices = [(zone, zone), *time_zone_choices()]

    def _get_validation_exclusions(self) -> set[str]:
        """Without a name that stays: it may be of a time with other rules."""
        fields: set[str] = super()._get_validation_exclusions()  # type: ignore[misc]  # Django's own place for this, not in the stubs
        return fields | ({"name"} - set(self.changed_data))


def has_catalogue(language: str) -> bool:
    """True if the portal has a catalogue for this language of the API."""
    return language == Language.ENGLISH or catalogue_for(language) != "en"
