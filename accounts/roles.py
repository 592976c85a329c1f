"""The five roles. Their ids are the API's and have no order; `rank` has."""

from django.db import models
from django.utils.translation import gettext_lazy as _


class Role(models.IntegerChoices):
    """A role of a user in an account, or of an API token. Listed strongest first.

    Never compare ids: ask `covers`.
    """

    ADMINISTRATORS = 1, "Administrators"
    ENGINEERS = 5, "Engineers"
    PURGE_AND_PREFETCH_WEB = 3009, "Purge and Prefetch only (API+Web)"
    PURGE_AND_PREFETCH_API = 3022, "Purge and Prefetch only (API)"
    USERS = 2, "Users"

    @property
    def rank(self) -> int:
        """0 for the strongest role."""
        return _RANKS[self]

    @property
    def explanation(self) -> str:
        """One sentence for the person who has to choose."""
        return str(_EXPLANATIONS[self])

    def covers(self, other: "Role") -> bool:
        """True if this role may hand out `other`: it is equal to it or stronger."""
        return self.rank <= other.rank

    def covered(self) -> "list[Role]":
        """The roles this one may hand out, strongest first."""
        return [role for role in Role if self.covers(role)]

    @classmethod
    def weaker(cls, first: "Role", second: "Role") -> "Role":
        """The weaker of two roles."""
        return second if first.covers(second) else first

    @classmethod
    def find(cls, text: str) -> "Role | None":
        """The role with this id (in decimal) or this name, as the API accepts them."""
        return next((role for role in cls if text in (str(role.value), role.label)), None)


_RANKS = {role: rank for rank, role in enumerate(Role)}

_EXPLANATIONS = {
    Role.ADMINISTRATORS: _(
        "Full access: can view and delete all tokens and manage the account's users."
    ),
    Role.ENGINEERS: _("Can use the account's services; can view and delete only their own tokens."),
    Role.PURGE_AND_PREFETCH_WEB: _(
        "Can purge and prefetch the cache, through the API and in the portal."
    ),
    Role.PURGE_AND_PREFETCH_API: _("Can purge and prefetch the cache, through the API only."),
    Role.USERS: _("Minimal access: only their own profile and tokens."),
}

ROLE_NAMES = [role.label for role in Role]
