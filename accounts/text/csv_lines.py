"""Writes lists as files for spreadsheets (CSV), line by line."""

import csv
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice

BYTE_ORDER_MARK = "\ufeff"
"""Tells spreadsheets that the file is UTF-8."""

FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")  # wide ones count too


class _Echo:
    """A file object for csv that returns each line instead of writing it."""

    def write(self, line: str) -> str:
        return line


LINES_AT_ONCE = 200
"""Lines that are sent in one piece: handing each to the web server takes as long as making it."""


def csv_lines(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> Iterator[str]:
    """The file in pieces of whole lines: a heading, then the rows, which may be read while it is
    sent."""
    writer = csv.writer(_Echo(), quoting=csv.QUOTE_ALL)
    yield BYTE_ORDER_MARK + writer.writerow(columns)
    every = iter(rows)
    while some := list(islice(every, LINES_AT_ONCE)):
        yield "".join(writer.writerow([_cell(cell) for cell in row]) for row in some)


def _cell(value: object) -> object:
    if value is None:
        return ""
    return value if type(value) is int else harmless(str(value))


def harmless(text: str) -> str:
    """The text, quoted if a spreadsheet could take it for a formula: anybody may write one."""
    if text[:1].isalnum():  # most of a million: looked at first, in a third of the time
        return text
    return f"'{text}" if text.lstrip(" ").startswith(FORMULA) else text
