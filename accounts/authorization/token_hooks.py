"""Hooks that `apitokens` registers, so that `accounts` can count tokens without importing it."""

from collections.abc import Collection
from datetime import datetime
from typing import NamedTuple

from accounts.roles import Role
from notifications.hooks import Hook


class Rights(NamedTuple):
    """What a token may do: all that its role allows, or with `scopes` only what they name."""

    role: Role
    scopes: frozenset[str] | None


@Hook
def rights_of(token_id: int, membership_id: int, at: datetime) -> Rights | None:
    """The rights of an active token of this issuer; None if it has ended, is suspended, or was
    handed over to another one."""
    raise NotImplementedError


@Hook
def strongest_role(membership_id: int, at: datetime) -> Role | None:
    """The strongest role of the active tokens that a membership issued; None without any."""
    raise NotImplementedError


@Hook
def snapshot(membership_id: int, at: datetime) -> str:
    """A fingerprint of which active tokens a membership has issued."""
    raise NotImplementedError


@Hook
def counts(account_id: int, at: datetime, members: Collection[int] | None = None) -> dict[int, int]:
    """The number of active tokens in an account, by the membership that issued them: of all
    members, or of these."""
    raise NotImplementedError


@Hook
def number(account_id: int, at: datetime) -> int:
    """The number of active tokens in an account."""
    raise NotImplementedError


@Hook
def issuers_among(members: Collection[int], at: datetime) -> set[int]:
    """Those of these memberships that have issued active tokens."""
    raise NotImplementedError
