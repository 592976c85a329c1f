"""What is opened or called, by whom, and what it may cost."""

from typing import NamedTuple

ADMINISTRATOR, PLAIN, OF_FULL, OF_BUSY, OPERATOR = (
    *("Administrator", "member", "Administrator of 100,000 active"),
    *("Administrator of 10,000 active", "operator"),
)
PAGE, SEARCH, OPERATORS_PAGE, OPERATORS_SEARCH = 50, 150, 100, 300
"""Milliseconds of the database, alone on two cores."""
SORTED = 150
"""Of lists in an order that no index has: they sort all that the filters find, and are not held to
the bound of other pages (docs/operations/limits.md)."""


class Call(NamedTuple):
    """An address that a person opens, or calls with their API token, and its bound. None: what
    grows is told in docs/operations/limits.md."""

    who: str
    name: str
    path: str
    bound: int | None = PAGE
    is_api: bool = False
    status: int = 200
    """0: any that is no fault of ours."""
    bearer: str = ""
    """Sent in place of what the person has."""
