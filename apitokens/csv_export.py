"""Streams the list of tokens as a file for spreadsheets (CSV). It has no secrets or digests."""

from array import array
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

from accounts.models import Membership, User
from accounts.roles import Role
from accounts.rows_by_id import RowsById
from accounts.text.csv_lines import csv_lines
from apitokens.addresses.rules import in_words
from apitokens.models import APIToken, APITokenQuerySet, Status, status_at

COLUMNS = [
    *("id", "name", "description", "status", "role", "issued_by", "issued_by_email"),
    *("issuer_uses_sso", "created", "expires", "last_used", "last_used_address"),
    *("deleted", "deleted_by", "scopes", "allowed_addresses"),
]
"""Stable names, whatever the reader's language: programs read them too."""

FIELDS = [
    *("pk", "issuer", "deleted_by", "name", "description", "role", "created_at", "expires_at"),
    *("last_used_at", "last_used_address", "deleted_at", "scopes", "allowed_addresses"),
]
ROLES = {role.value: role.label for role in Role}

ISSUER_INACTIVE = "issuer_inactive"
"""The status of an active token whose issuer was deactivated, as its holder is told it."""

PART = 2_000
"""Tokens read at once, so that a slow client keeps no query open."""


class _Issuer(NamedTuple):
    name: str
    email: str
    sso_at: datetime | None
    suspended_at: datetime | None
    removed_at: datetime | None
    is_active: bool

    @property
    def is_on(self) -> bool:
        return self.is_active and self.removed_at is None


def lines(tokens: APITokenQuerySet, *, at: datetime) -> Iterator[str]:
    """The file, some lines at a time, in the order of the list. Which tokens are in it is decided
    when the first of them have been sent; what it says of them is read while it is sent."""
    return csv_lines(COLUMNS, _rows(tokens, at))


def _rows(tokens: APITokenQuerySet, at: datetime) -> Iterator[list[object]]:
    issuers, emails = RowsById(_issuers), RowsById(_emails)
    for wanted in _ids(tokens):
        # Plain values: objects of four tables for each line take ten times as long as writing it.
        found = {
            row[0]: row for row in APIToken.objects.filter(pk__among=wanted).values_list(*FIELDS)
        }
        known = issuers.of(row[1] for row in found.values())
        deleters = emails.of(row[2] for row in found.values())
        for token_id in wanted:
            if token_id in found:
                yield _cells(found[token_id], known, deleters, at)


def _ids(tokens: APITokenQuerySet) -> Iterator[list[int]]:
    """The ids of all of them in parts. The first is asked for by itself: nobody waits for the ids
    of a million before the first line comes."""
    ids = tokens.values_list("pk", flat=True)
    first = list(ids[:PART])
    yield first
    if len(first) == PART:
        sent = set(first)
        rest = array("q", (each for each in ids.iterator(PART) if each not in sent))
        for start in range(0, len(rest), PART):
            yield list(rest[start : start + PART])


def _issuers(ids: set[int]) -> dict[int, _Issuer]:
    names = ("user__name", "user__email", "sso_at", "tokens_suspended_at", "removed_at")
    members = Membership.everyone.filter(pk__among=ids)
    rows = members.values_list("pk", *names, "user__is_active")
    return {pk: _Issuer(*facts) for pk, *facts in rows}


def _emails(ids: set[int]) -> dict[int, str]:
    return dict(User.objects.filter(pk__among=ids).values_list("pk", "email"))


def _cells(
    row: Sequence[Any], issuers: Mapping[int, _Issuer], emails: Mapping[int, str], at: datetime
) -> list[object]:
    pk, issuer_id, deleted_by, name, description, role, *times, scopes, allowed = row
    created, expires, used, address, deleted = times
    issuer = issuers[issuer_id]
    status = status_at(
        at, deleted_at=deleted, expires_at=expires, is_suspended=issuer.suspended_at is not None
    )
    is_stopped = status in (Status.ACTIVE, Status.SUSPENDED) and not issuer.is_on
    word = ISSUER_INACTIVE if is_stopped else status.value
    return [
        *(pk, name, description, word, ROLES[role], issuer.name, issuer.email),
        "yes" if issuer.sso_at else "no",
        *(_instant(created), _instant(expires), _instant(used), address, _instant(deleted)),
        emails.get(deleted_by),
        scopes,
        in_words(allowed),
    ]


def _instant(moment: datetime | None) -> str | None:
    # In a third of the time that a format with `%` takes.
    return f"{moment.astimezone(UTC).isoformat()[:19]}Z" if moment else None
