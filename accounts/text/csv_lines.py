"""Writes lists as files for spreadsheets (CSV), line by line."""

import csv
from collections.abc import Iterable, Iterator, Sequence

BYTE_ORDER_MARK = "\ufeff"
"""Tells spreadsheets that the file is UTF-8."""

FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")  # wide ones count too


class _Echo:
    """A file object for csv that returns each line instead of writing it."""

    def write(self, line: str) -> str:
        return line


def csv_lines(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> Iterator[str]:
    """The file, line by line: a heading, then the rows, which may be read while it is sent."""
    writer = csv.writer(_Echo(), quoting=csv.QUOTE_ALL)
    yield BYTE_ORDER_MARK + writer.writerow(columns)
    for row in rows:
        yield writer.writerow(["" if cell is None else harmless(str(cell)) for cell in row])


def harmless(text: str) -> str:
    """The text, quoted if a spreadsheet could take it for a formula: anybody may write one."""
    return f"'{text}" if text.lstrip(" ").startswith(FORMULA) else text
