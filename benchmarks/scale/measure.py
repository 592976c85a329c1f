"""Measures one thing on a database that is filled: queries, milliseconds of the database, rows
read, milliseconds in all, and memory."""

import json
import re
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from django.db import connection

QUICK, RUNS = 0.5, 3
"""What is done within so many seconds is measured so many times; the median counts."""
READ = """
    SELECT coalesce(sum(seq_tup_read + coalesce(idx_tup_fetch, 0)), 0),
        (SELECT coalesce(sum(idx_tup_read), 0) FROM pg_stat_user_indexes),
        (SELECT coalesce(jsonb_object_agg(indexrelname, idx_scan), '{}') FROM pg_stat_user_indexes)
    FROM pg_stat_user_tables
"""
MOST_MEMORY = 60
"""Megabytes above idle."""


@dataclass
class Figures:
    """What one thing has cost. `bound` is of `database_ms`; `failures` say what is above one.

    What is counted by an index alone reads no row: it is in `entries_read`, those of indices.
    """

    who: str
    name: str
    bound: int | None = None
    queries: int = 0
    database_ms: float = 0
    rows_read: int = 0
    entries_read: int = 0
    indices: list[str] = field(default_factory=list)
    wall_ms: float = 0
    memory_mb: float = 0
    note: str = ""
    failures: list[str] = field(default_factory=list)


class _Recorder:
    """Counts and times the statements of one run."""

    def __init__(self) -> None:
        self.queries, self.seconds = 0, 0.0

    def __call__(self, execute: Callable[..., Any], *call: Any) -> Any:
        self.queries += 1
        began = time.perf_counter()
        try:
            return execute(*call)
        finally:
            self.seconds += time.perf_counter() - began


def measured(
    who: str, name: str, run: Callable[[], str], *, bound: int | None = None, repeat: bool = True
) -> Figures:
    if repeat:
        run()  # templates and plans are known
    each = [_once(run)]
    while repeat and each[0].wall_ms < QUICK * 1000 and len(each) < RUNS:
        each.append(_once(run))
    figures = Figures(
        who,
        name,
        bound,
        queries=each[-1].queries,
        database_ms=statistics.median(one.database_ms for one in each),
        rows_read=min(one.rows_read for one in each),
        entries_read=min(one.entries_read for one in each),
        indices=sorted({name for one in each for name in one.indices}),
        wall_ms=statistics.median(one.wall_ms for one in each),
        memory_mb=max(one.memory_mb for one in each),
        note=each[-1].note,
    )
    if bound is not None and figures.database_ms > bound:
        figures.failures.append(f"{figures.database_ms:,.0f} ms of the database, bound {bound}")
    if figures.memory_mb > MOST_MEMORY:
        figures.failures.append(f"{figures.memory_mb:,.0f} MB above idle, bound {MOST_MEMORY}")
    return figures


def _once(run: Callable[[], str]) -> Figures:
    recorder, before = _Recorder(), read_until_now()
    Path("/proc/self/clear_refs").write_text("5")  # the peak of memory begins anew
    idle = _memory("VmRSS")
    began = time.perf_counter()
    with connection.execute_wrapper(recorder):
        note = run()
    wall = time.perf_counter() - began
    read = read_until_now().since(before)
    return Figures(
        "",
        "",
        queries=recorder.queries,
        database_ms=recorder.seconds * 1000,
        rows_read=read.rows,
        entries_read=read.entries,
        indices=sorted(read.scans),
        wall_ms=wall * 1000,
        memory_mb=max(0.0, _memory("VmHWM") - idle),
        note=note,
    )


class _Read(NamedTuple):
    """What the server has read since it began: rows, entries of indices, and how often each index
    was looked into."""

    rows: int
    entries: int
    scans: dict[str, int]

    def since(self, before: "_Read") -> "_Read":
        scans = {name: n - before.scans.get(name, 0) for name, n in self.scans.items()}
        return _Read(
            self.rows - before.rows,
            self.entries - before.entries,
            {name: number for name, number in scans.items() if number},
        )


def read_until_now() -> _Read:
    """What has been read until now. (A backend tells of its own when asked to.)"""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_stat_force_next_flush()")
        cursor.execute("SELECT pg_stat_clear_snapshot()")
        cursor.execute(READ)
        rows, entries, scans = cursor.fetchone()
        return _Read(int(rows), int(entries), json.loads(scans))


def _memory(name: str) -> float:
    status = Path("/proc/self/status").read_text()
    (line,) = re.findall(rf"^{name}:\s+(\d+) kB$", status, re.MULTILINE)
    return int(line) / 1024
