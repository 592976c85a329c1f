"""Streams the audit log as a file for spreadsheets (CSV)."""

import json
from collections.abc import Iterator

from accounts.audit.labels import present_code
from accounts.audit.listing import Row, in_parts, rows
from accounts.models import AuditEventQuerySet
from accounts.text.csv_lines import csv_lines

COLUMNS = [
    *("time", "event", "description", "user_id", "name", "email", "through", "through_token"),
    *("address", "subject_type", "subject_id", "subject", "details"),
]
"""Stable names, whatever the reader's language: programs read them too."""


def lines(events: AuditEventQuerySet) -> Iterator[str]:
    """The file, line by line."""
    return csv_lines(COLUMNS, (_cells(row) for part in in_parts(events) for row in rows(part)))


def _cells(row: Row) -> list[object]:
    event = row.event
    return [
        event.at.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        present_code(event.kind),
        row.name,
        event.user_id if row.email else None,
        row.who,
        row.email,
        event.through,
        event.through_token,
        row.address,
        event.subject_type,
        event.subject_id,
        row.about,
        json.dumps(event.details, ensure_ascii=False, sort_keys=True) if event.details else None,
    ]
