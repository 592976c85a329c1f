"""Streams the audit log as a file for spreadsheets (CSV)."""

import csv
import json
from collections.abc import Iterator

from accounts.audit.labels import present_code
from accounts.audit.listing import Row, in_parts, rows
from accounts.models import AuditEventQuerySet

COLUMNS = [
    *("time", "event", "description", "user_id", "name", "email", "through", "through_token"),
    *("address", "subject_type", "subject_id", "subject", "details"),
]
"""Stable names, whatever the reader's language: programs read them too."""

BYTE_ORDER_MARK = "\ufeff"
"""Tells spreadsheets that the file is UTF-8."""

FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")  # wide ones count too


class _Echo:
    """A file object for csv that returns each line instead of writing it."""

    def write(self, line: str) -> str:
        return line


def lines(events: AuditEventQuerySet) -> Iterator[str]:
    """The file, line by line."""
    writer = csv.writer(_Echo(), quoting=csv.QUOTE_ALL)
    yield BYTE_ORDER_MARK + writer.writerow(COLUMNS)
    for part in in_parts(events):
        for row in rows(part):
            yield writer.writerow([harmless(cell) for cell in _cells(row)])


def harmless(text: str) -> str:
    """The text, quoted if a spreadsheet could take it for a formula: anybody may write one."""
    return f"'{text}" if text.lstrip(" ").startswith(FORMULA) else text


def _cells(row: Row) -> list[str]:
    event = row.event
    values = [
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
    return ["" if cell is None else str(cell) for cell in values]
