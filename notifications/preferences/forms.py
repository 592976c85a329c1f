"""The settings page: the master switch, and boxes for each kind that can reach the person."""

from collections.abc import Collection
from typing import Any, NamedTuple

from django import forms
from django.forms import BoundField
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from notifications.kinds import GROUP_NAMES, KINDS, Audience, Channel, Group, Kind
from notifications.preferences.services import Settings
from notifications.recipients import Person


class Boxes(NamedTuple):
    """A kind of notice with a box for each channel."""

    kind: Kind
    boxes: list[BoundField]


class Section(NamedTuple):
    """A heading of the page with the kinds below it."""

    code: Group
    name: Promise
    kinds: list[Boxes]


class Box(forms.BooleanField):
    """A box whose page sends along how it was shown: what was not touched there stays as it is,
    also if it was changed in another window meanwhile."""

    def __init__(self, **facts: Any) -> None:
        super().__init__(required=False, show_hidden_initial=True, **facts)


class SettingsForm(forms.Form):
    allows_any = Box(label=_("Allow notifications"))
    # A form without it was not made by the page: no box in it does not mean that none is wanted.
    account = forms.IntegerField(widget=forms.HiddenInput)

    def __init__(
        self,
        data: Any = None,
        *,
        person: Person,
        audiences: Collection[Audience],
        present: Settings,
    ) -> None:
        initial = {"allows_any": present.allows_any, "account": person.account_id}
        super().__init__(data, initial=initial)
        self.person = person
        self.kinds = [kind for kind in KINDS.values() if kind.audience in audiences]
        for kind in self.kinds:
            for channel in Channel:
                self.fields[_box(kind.code, channel)] = Box(
                    label=channel.label, initial=present.is_on[kind.code, channel]
                )

    def clean_account(self) -> int:
        account_id: int = self.cleaned_data["account"]
        if account_id != self.person.account_id:
            raise forms.ValidationError("", code="other_account")  # the view has the words
        return account_id

    @property
    def chosen(self) -> Settings:
        """What the person has changed, of what can reach them. The rest stays as it is."""
        cleaned = self.cleaned_data
        return Settings(
            allows_any=cleaned["allows_any"] if self._is_touched("allows_any") else None,
            is_on={
                (kind.code, channel): cleaned[name]
                for kind in self.kinds
                for channel in Channel
                if self._is_touched(name := _box(kind.code, channel))
            },
        )

    def _is_touched(self, name: str) -> bool:
        """True if the box was sent otherwise than it was shown, or nothing says how that was."""
        return self[name].html_initial_name not in self.data or name in self.changed_data

    @property
    def sections(self) -> list[Section]:
        """The boxes in the order of the page."""
        return [
            Section(group, name, kinds)
            for group, name in GROUP_NAMES.items()
            if (kinds := [self._boxes(kind) for kind in self.kinds if kind.group is group])
        ]

    def _boxes(self, kind: Kind) -> Boxes:
        return Boxes(kind, [self[_box(kind.code, channel)] for channel in Channel])


def _box(kind: str, channel: Channel) -> str:
    return f"{kind}-{channel.value}"
