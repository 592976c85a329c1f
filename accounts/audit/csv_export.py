"""Streams the audit log as a file for spreadsheets (CSV)."""

import json
from collections.abc import Iterator
from datetime import datetime
from typing import Any, NamedTuple

from accounts.audit.labels import present_code
from accounts.audit.listing import Description, Names, descriptions
from accounts.audit.parts import Events
from accounts.models import User
from accounts.models.user import full_name
from accounts.rows_by_id import RowsById
from accounts.text.csv_lines import csv_lines

COLUMNS = [
    *("time", "event", "description", "user_id", "name", "email", "through", "through_token"),
    *("address", "subject_type", "subject_id", "subject", "details"),
]
"""Stable names, whatever the reader's language: programs read them too."""


_as_json = json.JSONEncoder(ensure_ascii=False, sort_keys=True).encode

PART = 2_000
"""Events read at once, so that a slow client keeps no query open."""


def lines(events: Events) -> Iterator[str]:
    """The file, some lines at a time."""
    return csv_lines(COLUMNS, _rows(events))


class _Person(NamedTuple):
    name: str
    email: str

    def get_full_name(self) -> str:
        return full_name(self.name, self.email)


class _Event(NamedTuple):
    """An event in plain values: a million objects of models take longer than writing the file."""

    at: datetime
    pk: int
    kind: str
    user_id: int | None
    through: str
    through_token: int | None
    address: str | None
    subject_type: str
    subject_id: int | None
    details: dict[str, Any]
    user: _Person | None = None


_NAMES = [name for name in _Event._fields if name not in ("at", "pk", "user")]


def _rows(events: Events) -> Iterator[list[object]]:
    names, people, place = Names(), RowsById(_people), _Event._fields.index("user_id")
    for values in events.values_in_parts(PART, *_NAMES):
        known = people.of(row[place] for row in values)
        part = [_Event._make((*row, known.get(row[place]))) for row in values]
        for event, words in zip(part, descriptions(part, names), strict=True):
            yield _cells(event, words)


def _people(ids: set[int]) -> dict[int, _Person]:
    users = User.objects.filter(pk__among=ids).values_list("pk", "name", "email")
    return {pk: _Person(name, email) for pk, name, email in users}


def _cells(event: _Event, words: Description) -> list[object]:
    return [
        f"{event.at.replace(tzinfo=None).isoformat(timespec='microseconds')}Z",
        present_code(event.kind),
        words.name,
        event.user_id if words.email else None,
        words.who,
        words.email,
        event.through,
        event.through_token,
        words.address,
        event.subject_type,
        event.subject_id,
        words.about,
        _as_json(event.details) if event.details else None,
    ]
