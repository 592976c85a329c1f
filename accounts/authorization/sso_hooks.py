"""Hooks that `sso` registers for the sign-in code."""

from django.db.models import Case, Exists
from django.http import HttpRequest

from accounts.models import User
from notifications.hooks import Hook

METHOD = "sso"
"""The name of single sign-on in the session's record of a sign-in, the audit log and the API."""


@Hook
def sign_in_path(email: str) -> str | None:
    """The path to the identity provider of this address's domain, if it has one.

    Does not tell whether the address is anybody's: neither does `is_forced_address`.
    """
    raise NotImplementedError


@Hook
def is_forced_address(email: str) -> bool:
    """True if everybody with an address in this domain must sign in through the provider."""
    raise NotImplementedError


@Hook
def is_forced(user: User) -> bool:
    """True if this person signs in through a provider, and by nothing else at any entry point."""
    raise NotImplementedError


@Hook
def may_bypass_sso(user: User) -> bool:
    """True if a person who is forced may use a password all the same, to keep an account usable."""
    raise NotImplementedError


@Hook
def leaves_forced_domain(user: User, email: str) -> bool:
    """True if this person is forced because of their address, and would not be by the other one."""
    raise NotImplementedError


@Hook
def reauthentication_path(request: HttpRequest) -> str | None:
    """The path to prove one's identity again at the provider, for who signed in there."""
    raise NotImplementedError


@Hook
def has_connection(account_id: int) -> bool:
    """True if the account has set up single sign-on, whether it is on or not."""
    raise NotImplementedError


@Hook
def sign_out_path(request: HttpRequest) -> str | None:
    """The path that signs the person out at their provider too, if it offers that."""
    raise NotImplementedError


@Hook
def sso_required_expression() -> Case:
    """An expression for queries of memberships: true where the account forces single sign-on."""
    raise NotImplementedError


@Hook
def linked_expression() -> Exists:
    """An expression for queries of memberships: true for who is linked with a provider."""
    raise NotImplementedError


def refuses(user: User) -> bool:
    """True if the portal's own ways of signing in are closed to this person."""
    return is_forced(user) and not may_bypass_sso(user)
