"""What people's pages and verbs need to know of API tokens; whoever keeps those answers."""

from collections.abc import Callable
from datetime import datetime
from typing import NamedTuple

from accounts.roles import Role


class TokenFacts(NamedTuple):
    """`role_of` an active token by its id, None if it has ended or is suspended; `counts` the
    active tokens of an account by the membership that issued them."""

    role_of: Callable[[int, datetime], Role | None]
    counts: Callable[[int, datetime], dict[int, int]]


_known: list[TokenFacts] = []


def register(facts: TokenFacts) -> None:
    """Called once at start, when the apps are ready."""
    _known[:] = [facts]


def role_of(token_id: int, at: datetime) -> Role | None:
    return _known[0].role_of(token_id, at)


def counts(account_id: int, at: datetime) -> dict[int, int]:
    return _known[0].counts(account_id, at)
