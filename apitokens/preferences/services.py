"""Keeps and reads a person's preferences for the list of tokens."""

from collections.abc import Collection
from typing import NamedTuple

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from accounts.authorization.actor import Actor
from apitokens.models import Density, ListPreferences

CHOICES: dict[str, Promise] = {
    "status": _("Status"),
    "role": _("Role"),
    "issued_by": _("Issued by"),
    "expiration": _("Expiration"),
    "last_usage": _("Last usage"),
    "created": _("Created"),
    "id": _("ID"),
    "description": _("Description"),
}
"""Columns that a person may show or hide, in the order of the table. The name always stands first,
and the actions last."""
AT_FIRST = ("status", "role", "issued_by", "expiration", "last_usage")


class Preferences(NamedTuple):
    """The columns that a person wants, in the order of the table, and the room between rows."""

    columns: tuple[str, ...] = AT_FIRST
    density: Density = Density.COMFORTABLE

    @property
    def is_compact(self) -> bool:
        return self.density is Density.COMPACT


def preferences_of(user_id: int) -> Preferences:
    """What the person chose last; the usual list for others. What another release kept and this one
    does not know is left out."""
    row = ListPreferences.objects.filter(user=user_id).first()
    if row is None:
        return Preferences()
    density = Density.COMPACT if row.density == Density.COMPACT else Density.COMFORTABLE
    return Preferences(_known(row.columns.split(",")), density)


def choose(*, by: Actor, columns: Collection[str], density: Density) -> None:
    """Keep the actor's own preferences. The last of several at once wins."""
    assert by.user is not None
    ListPreferences.objects.update_or_create(
        user=by.user, defaults={"columns": ",".join(_known(columns)), "density": density}
    )


def _known(columns: Collection[str]) -> tuple[str, ...]:
    return tuple(key for key in CHOICES if key in columns)
