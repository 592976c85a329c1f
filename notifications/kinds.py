"""The kinds of notices a person can get. A new kind is one entry here, and whoever has news of that
kind registers how a mail about it reads (`notifications.mails.writes`)."""

from dataclasses import dataclass
from enum import StrEnum

from django.db import models
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext_lazy


class Channel(models.TextChoices):
    """How a notice reaches a person."""

    EMAIL = "email", _("E-mail")
    PORTAL = "portal", _("Portal")


class Group(StrEnum):
    """The headings of the settings page."""

    GENERAL = "general"
    SECURITY = "security"


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of notice: its stable code, its name, one sentence, the words of the link to whatever
    it is about (by their `count`), and where it goes by default."""

    code: str
    name: Promise
    sentence: Promise
    group: Group
    action: Promise
    default_channels: frozenset[Channel] = frozenset(Channel)

    def action_for(self, count: int) -> str:
        """What the link says when the notice is about this many things."""
        return str(self.action % {"count": count})


TOKEN_EXPIRING = Kind(
    "token_expiring",
    _("API token is expiring"),
    _("Notification is sent when one of your API tokens is about to expire."),
    Group.GENERAL,
    ngettext_lazy("Show this token", "Show these tokens", "count"),
)
TOKEN_CHANGED_BY_OTHERS = Kind(
    "token_changed_by_others",
    _("API token created or deleted by somebody else"),
    _("Notification is sent when somebody else creates or deletes an API token in your name."),
    Group.SECURITY,
    ngettext_lazy("Show this token", "Show these tokens", "count"),
)
TOKEN_USED_FROM_NEW_ADDRESS = Kind(
    "token_used_from_new_address",
    _("Administrators' API token used from a new address"),
    _(
        "Notification is sent when an API token with the role Administrators is used from an "
        "address that it was not used from in the last 90 days."
    ),
    Group.SECURITY,
    ngettext_lazy("Show this token", "Show these tokens", "count"),
)

KINDS = {
    kind.code: kind
    for kind in (TOKEN_EXPIRING, TOKEN_CHANGED_BY_OTHERS, TOKEN_USED_FROM_NEW_ADDRESS)
}
GROUP_NAMES = {Group.GENERAL: _("General"), Group.SECURITY: _("Security")}
