"""The form of the page My profile."""

from typing import Any

from django import forms
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from accounts.http.concurrent_edits import ConcurrentEdits
from accounts.languages import catalogue_for
from accounts.models import Language, User
from accounts.users.time_zones import Choices, canonical_name, choices


class TimeZoneField(forms.ChoiceField):
    """A zone by its present name, also where a browser names it by a former one."""

    def to_python(self, value: Any) -> str:
        return canonical_name(super().to_python(value))


def time_zone_choices() -> Choices:
    return choices(timezone.now())


def language_choices() -> list[tuple[str, str]]:
    """The languages that have a translation catalogue."""
    return [(code, label) for code, label in Language.choices if has_catalogue(code)]


class ProfileForm(ConcurrentEdits, forms.ModelForm):  # type: ignore[type-arg]  # generic in the stubs only
    time_zone = TimeZoneField(
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
        zone = canonical_name(self.instance.time_zone)
        self.initial["time_zone"] = zone
        field = self.fields["time_zone"]
        assert isinstance(field, forms.ChoiceField)
        if not field.valid_value(zone):  # such as Etc/GMT+5: it stays a choice of who has it
            field.choices = [(zone, zone), *time_zone_choices()]

    def _get_validation_exclusions(self) -> set[str]:
        """Without a name that stays: it may be of a time with other rules."""
        fields: set[str] = super()._get_validation_exclusions()  # type: ignore[misc]  # Django's own place for this, not in the stubs
        return fields | ({"name"} - set(self.changed_data))


def has_catalogue(language: str) -> bool:
    """True if the portal has a catalogue for this language of the API."""
    return language == Language.ENGLISH or catalogue_for(language) != "en"
