"""Streams the list of tokens as a file for spreadsheets (CSV). It has no secrets or digests."""

from collections.abc import Iterator
from datetime import UTC, datetime

from accounts.text.csv_lines import csv_lines
from apitokens.models import APIToken, APITokenQuerySet

COLUMNS = [
    *("id", "name", "description", "status", "role", "issued_by", "issued_by_email"),
    *("issuer_uses_sso", "created", "expires", "last_used", "last_used_address"),
    *("deleted", "deleted_by"),
]
"""Stable names, whatever the reader's language: programs read them too."""

PART = 1_000
"""Tokens read at once, so that a slow client keeps no query open."""


def lines(tokens: APITokenQuerySet, *, at: datetime) -> Iterator[str]:
    """The file, line by line, in the order of the list. Which tokens are in it is decided now; what
    it says of them is read while it is sent."""
    ids = list(tokens.values_list("pk", flat=True))
    return csv_lines(COLUMNS, (_cells(token, at) for token in _in_order(ids)))


def _in_order(ids: list[int]) -> Iterator[APIToken]:
    for start in range(0, len(ids), PART):
        part = ids[start : start + PART]
        found = APIToken.objects.for_display().in_bulk(part)
        yield from (found[each] for each in part if each in found)


def _cells(token: APIToken, at: datetime) -> list[object]:
    return [
        token.pk,
        token.name,
        token.description,
        token.status(at).value,
        token.held_role.label,
        token.issuer.user.name,
        token.issuer.user.email,
        "yes" if token.issuer.uses_sso else "no",
        _instant(token.created_at),
        _instant(token.expires_at),
        _instant(token.last_used_at),
        token.last_used_address,
        _instant(token.deleted_at),
        token.deleted_by.email if token.deleted_by else None,
    ]


def _instant(moment: datetime | None) -> str | None:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ") if moment else None
