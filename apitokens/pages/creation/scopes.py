"""The part of the forms of a token by which it is limited to scopes."""

from functools import cached_property
from typing import Any, NamedTuple

from django import forms
from django.utils.translation import gettext_lazy as _

from apitokens.scopes.rules import Offer, is_read_only, offers
from apitokens.scopes.words import joined

ALL, READ_ONLY, CHOSEN = "all", "read", "chosen"


class Choice(NamedTuple):
    """A scope to tick."""

    word: str
    label: str
    is_chosen: bool


class Group(NamedTuple):
    """A service, and its scopes to tick."""

    label: str
    code: str
    choices: list[Choice]


class ScopesForm(forms.Form):
    """All that the role allows, or only what is ticked. The service has the rules."""

    account_id: int
    kept: str | None = None
    """The scopes that the token has already."""

    # Who leaves it out, as older pages do, changes nothing: a new token has all, as it always had.
    access = forms.ChoiceField(
        label=_("Scopes"),
        required=False,
        choices=[
            (ALL, _("Everything that its role allows")),
            (READ_ONLY, _("Read only")),
            (CHOSEN, _("Only what you choose")),
        ],
        widget=forms.RadioSelect,
        error_messages={"invalid_choice": _("Choose what the token can do.")},
    )
    scopes = forms.MultipleChoiceField(
        label=_("What the token can do"),
        required=False,
        widget=forms.CheckboxSelectMultiple,
        error_messages={
            "invalid_choice": _("There is no longer a scope “%(value)s” in this account.")
        },
    )

    def limit_to(self, kept: str | None, *, account_id: int) -> None:
        """Begin with what the token has, in this account."""
        self.kept, self.account_id = kept, account_id
        self.fields["scopes"].choices = self._words  # type: ignore[attr-defined]  # a field with choices
        # In a draft there is what was typed, and for a similar token what the other has.
        held = self.initial.get("scopes") or kept
        self.initial["scopes"] = (held or "").split()
        self.initial.setdefault("access", self._usual_access(held))

    @cached_property
    def offers(self) -> list[Offer]:
        return offers(self.account_id)

    @property
    def scope_groups(self) -> list[Group]:
        """What can be ticked, service by service."""
        chosen = set(self["scopes"].value() or ())
        return [
            Group(
                label=each.label,
                code=each.code,
                choices=[
                    Choice(choice.word, choice.label, choice.word in chosen)
                    for choice in each.choices
                ],
            )
            for each in self.offers
        ]

    def clean_scopes(self) -> list[str]:
        """Refuse ticks that would not count: nobody ticks them to get all."""
        ticked: list[str] = self.cleaned_data["scopes"]
        access = self.cleaned_data.get("access")
        if access == CHOSEN and not ticked:
            raise forms.ValidationError(_("Choose at least one scope."), code="required")
        is_changed = joined(ticked) != joined(self.initial["scopes"])
        if access != CHOSEN and ticked and is_changed:
            raise forms.ValidationError(
                _("You ticked scopes. Choose “Only what you choose” as well, or untick them."),
                code="not_chosen",
            )
        return ticked

    @property
    def wanted_scopes(self) -> list[str] | None:
        """The scopes as they were chosen; None for all that the role allows."""
        match self.cleaned_data.get("access"):
            case "chosen":
                return list(self.cleaned_data["scopes"])
            case "read":
                return self._read_only()
            case "all":
                return None
        return None if self.kept is None else self.kept.split()

    def _usual_access(self, held: str | None) -> str:
        if held is None:
            return ALL
        return READ_ONLY if joined(self._read_only()) == held else CHOSEN

    def _read_only(self) -> list[str]:
        words = [choice.word for each in self.offers for choice in each.choices]
        return [word for word in words if is_read_only([word])]

    def _words(self) -> list[tuple[Any, Any]]:
        words = {choice.word: choice.label for each in self.offers for choice in each.choices}
        return list({**{word: word for word in (self.kept or "").split()}, **words}.items())
