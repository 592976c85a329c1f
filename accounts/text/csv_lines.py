"""Writes lists as files for spreadsheets (CSV), line by line."""

import csv
from collections.abc import Iterable, Iterator, Sequence
from io import StringIO
from itertools import islice

BYTE_ORDER_MARK = "\ufeff"
"""Tells spreadsheets that the file is UTF-8."""

FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")  # wide ones count too


LINES_AT_ONCE = 200
"""Lines that are sent in one piece: handing each to the web server takes as long as making it."""


def csv_lines(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> Iterator[str]:
    """The file in pieces of whole lines: a heading, then the rows, which may be read while it is
    sent."""
    yield BYTE_ORDER_MARK + _written([columns])
    every = iter(rows)
    while some := list(islice(every, LINES_AT_ONCE)):
        yield _written([[_cell(cell) for cell in row] for row in some])


def _written(rows: Iterable[Sequence[object]]) -> str:
    text = StringIO(newline="")
    csv.writer(text, quoting=csv.QUOTE_ALL).writerows(rows)
    return text.getvalue()


def _cell(value: object) -> object:
    if value is None or type(value) is int:
        return value  # nothing, or the number
    text = str(value)
    # Most of a million are so: looked at first, in a third of the time.
    return text if not text or text[:1].isalnum() else harmless(text)


def harmless(text: str) -> str:
    """The text, quoted if a spreadsheet could take it for a formula: anybody may write one."""
    return f"'{text}" if text.lstrip(" ").startswith(FORMULA) else text
