"""The plans of the statements that cost most."""

import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from django.db import connection

FILE = Path(__file__).resolve().parent / "PLANS.md"
HEAD = """# Plans of the mended queries

`make bench-scale` writes this file: of each page or call the statement that took longest, as
PostgreSQL ran it (`EXPLAIN (ANALYZE, COSTS OFF)`), and the indices that all its statements read.
"""
_COLUMNS = re.compile(r"^SELECT .*? FROM ", re.DOTALL)
_NOISE = re.compile(r"^\s*(Planning|Buffers|Heap Blocks|Buckets|Worker \d).*\n", re.MULTILINE)
LONGEST = 600


class Slowest:
    """Remembers the statement of a run that took longest. `indices` are those of all of them."""

    def __init__(self) -> None:
        self.seconds, self.statement = 0.0, ("", ())
        self.indices: list[str] = []

    def hear(self, seconds: float, sql: str, params: Any) -> None:
        if seconds > self.seconds and sql.startswith("SELECT"):
            self.seconds, self.statement = seconds, (sql, params)

    def plan(self) -> str:
        """The statement in short, and its plan."""
        sql, params = self.statement
        if not sql:
            return ""
        with connection.cursor() as cursor:
            cursor.execute(f"EXPLAIN (ANALYZE, COSTS OFF) {sql}", params)
            lines = "\n".join(line[:160] for (line,) in cursor.fetchall())
        shown = _COLUMNS.sub("SELECT … FROM ", sql)[:LONGEST]
        return f"```text\n{shown}\n\n{_NOISE.sub('', lines + chr(10))}```\n"


def write(calls: Iterable[tuple[str, Callable[[Slowest], object]]]) -> None:
    """Run each call, and write the plan of its slowest statement."""
    parts = [HEAD]
    for name, run in calls:
        slowest = Slowest()
        run(slowest)
        indices = ", ".join(f"`{each}`" for each in slowest.indices)
        parts.append(f"\n## {name}\n\n{slowest.plan()}\nIndices: {indices}.\n")
    FILE.write_text("".join(parts))
