"""Streams the audit log as a file for spreadsheets (CSV)."""

import json
from collections.abc import Iterator

from accounts.audit.labels import present_code
from accounts.audit.listing import Description, descriptions
from accounts.audit.parts import Events
from accounts.models import AuditEvent
from accounts.text.csv_lines import csv_lines

COLUMNS = [
    *("time", "event", "description", "user_id", "name", "email", "through", "through_token"),
    *("address", "subject_type", "subject_id", "subject", "details"),
]
"""Stable names, whatever the reader's language: programs read them too."""


PART = 2_000
"""Events read at once, so that a slow client keeps no query open."""


def lines(events: Events) -> Iterator[str]:
    """The file, some lines at a time."""
    return csv_lines(COLUMNS, _rows(events))


def _rows(events: Events) -> Iterator[list[object]]:
    for part in events.in_parts(PART):
        for event, words in zip(part, descriptions(part), strict=True):
            yield _cells(event, words)


def _cells(event: AuditEvent, words: Description) -> list[object]:
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
        json.dumps(event.details, ensure_ascii=False, sort_keys=True) if event.details else None,
    ]
