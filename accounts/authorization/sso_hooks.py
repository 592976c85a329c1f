"""What signing in needs to know of accounts' identity providers; whoever keeps those answers."""

from collections.abc import Callable
from typing import NamedTuple

from django.db.models import Case
from django.http import HttpRequest

from accounts.models import User

METHOD = "sso"
"""What the session's record of a sign-in, the audit log and the API call coming through one."""


class SSOHooks(NamedTuple):
    """The answers.

    `way` is the path that leads people with this e-mail to their provider, `is_forced_address` says
    whether all with such an address are to take it; neither tells whether it is anybody's.
    `is_forced` says whether this person has to come through a provider, and `may_bypass_sso`
    whether they may do without all the same, so that an account stays in somebody's hands. `again`
    is the path on which whoever is signed in can prove at the provider that it is still them,
    `sign_out` the path that signs them out there as well; None where there is nothing of it.
    `sso_required_expression` says in a query of memberships which of them their own account forces.
    """

    way: Callable[[str], str | None]
    is_forced_address: Callable[[str], bool]
    is_forced: Callable[[User], bool]
    may_bypass_sso: Callable[[User], bool]
    again: Callable[[HttpRequest], str | None]
    sign_out: Callable[[HttpRequest], str | None]
    sso_required_expression: Callable[[], Case]


_known: list[SSOHooks] = []


def register(federation: SSOHooks) -> None:
    """Called once at start, when the apps are ready."""
    _known[:] = [federation]


def way(email: str) -> str | None:
    return _known[0].way(email)


def is_forced_address(email: str) -> bool:
    return _known[0].is_forced_address(email)


def is_forced(user: User) -> bool:
    """True if this person signs in through a provider, and by nothing else at any door."""
    return _known[0].is_forced(user)


def refuses(user: User) -> bool:
    """True if the portal's own ways of signing in are closed to this person."""
    return _known[0].is_forced(user) and not _known[0].may_bypass_sso(user)


def again(request: HttpRequest) -> str | None:
    return _known[0].again(request)


def sign_out(request: HttpRequest) -> str | None:
    return _known[0].sign_out(request)


def sso_required_expression() -> Case:
    """For a query of memberships: true for those whose account makes them come through its
    provider."""
    return _known[0].sso_required_expression()
