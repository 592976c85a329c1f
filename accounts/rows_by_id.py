"""Rows by their ids, for long files: the lookup `among`, and what lines of a file speak of."""

import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Generic, TypeVar

from django.db.models import IntegerField, Lookup

Row = TypeVar("Row")

MOST_KEPT = 20_000
"""Rows: some megabytes."""


@IntegerField.register_lookup
class Among(Lookup):  # type: ignore[type-arg]  # generic in the stubs only
    """`in` for thousands of numbers: they are one value. Thousands of values take as long to write
    into a query as their rows take to be read.

    The numbers may be those of a query. PostgreSQL makes its list first then, and looks up row by
    row what the list names. With `in` it believes that to read all of a table is quicker.
    """

    lookup_name = "among"
    prepare_rhs = False

    def as_postgresql(self, compiler: Any, connection: Any) -> tuple[str, list[Any]]:
        column, values = self.process_lhs(compiler, connection)
        if self.rhs_is_direct_value():
            return f"{column} = ANY(%s::bigint[])", [*values, list(self.rhs)]
        numbers, more = self.process_rhs(compiler, connection)
        return f"{column} = ANY(ARRAY{numbers})", [*values, *more]

    def as_sqlite(self, compiler: Any, connection: Any) -> tuple[str, list[Any]]:
        column, values = self.process_lhs(compiler, connection)
        if self.rhs_is_direct_value():
            numbers = json.dumps(list(self.rhs))
            return f"{column} IN (SELECT value FROM json_each(%s))", [*values, numbers]  # noqa: S608  # a column
        query, more = self.process_rhs(compiler, connection)
        return f"{column} IN {query}", [*values, *more]


class RowsById(Generic[Row]):
    """Reads each row once, as long as it is kept: parts of a file speak of the same people."""

    def __init__(self, read: Callable[[set[int]], Mapping[int, Row]]) -> None:
        self._read = read
        self._found: dict[int, Row] = {}

    def of(self, ids: Iterable[int | None]) -> Mapping[int, Row]:
        """The rows with these ids, and maybe others. None is the id of nothing."""
        wanted = {each for each in ids if each is not None}
        missing = wanted - self._found.keys()
        if missing and len(self._found) + len(missing) > MOST_KEPT:
            self._found, missing = {}, wanted
        if missing:
            self._found.update(self._read(missing))
        return self._found
