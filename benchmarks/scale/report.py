"""Writes the figures: lines on the terminal, a file of JSON, and RESULTS.md beside those before."""

import json
import os
import platform
import subprocess
import time
from collections.abc import Iterable
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from django.db import connection

from benchmarks.scale.measure import Figures

FOLDER = Path(__file__).resolve().parent
BEFORE = FOLDER / "before.json"
BEFORE_SHARE = 1
RESULTS = FOLDER / "RESULTS.md"


def line(figures: Figures) -> str:
    """One line for a terminal."""
    mark = "!" if figures.failures else " "
    return (
        f"{mark} {figures.who[:14]:14} {figures.name[:44]:44} {figures.queries:4} queries "
        f"{figures.database_ms:9,.1f} ms {figures.rows_read:10,} rows {figures.wall_ms:9,.0f} ms "
        f"{figures.memory_mb:6,.0f} MB {figures.note}"
    )


def keep(found: Iterable[Figures], path: str) -> None:
    """Keep the figures as JSON, to be compared with later."""
    Path(path).write_text(json.dumps([asdict(each) for each in found], indent=1) + "\n")


def write(found: list[Figures], *, share: float) -> None:
    """Write RESULTS.md."""
    before = {(each["who"], each["name"]): each for each in _before(share)}
    rows = [_row(each, before.get((each.who, each.name))) for each in found]
    above = sum(bool(each.failures) for each in found)
    RESULTS.write_text(
        HEAD.format(
            day=f"{datetime.now(UTC):%Y-%m-%d}",
            machine=f"{platform.platform()}, {os.cpu_count()} cores",
            postgresql=_version(),
            share=share,
            above=above,
            load=os.getloadavg()[0],
            counted=_counted(),
            commit=_commit(),
            number=len(found),
            rows="\n".join(rows),
        )
    )


def _before(share: float) -> list[dict[str, Any]]:
    """The figures of commit a62e65b, of all data: those of a part cannot stand beside them."""
    return json.loads(BEFORE.read_text()) if share == BEFORE_SHARE else []


def _row(now: Figures, before: dict[str, Any] | None) -> str:
    def both(name: str, digits: int = 0) -> str:
        value = f"{getattr(now, name):,.{digits}f}"
        return f"{before[name]:,.{digits}f} → {value}" if before else value

    bound = "" if now.bound is None else str(now.bound)
    cells = [
        *(now.who, now.name, both("queries"), both("database_ms", 1), bound),
        *(both("rows_read"), both("wall_ms"), both("memory_mb")),
        f"{now.note} {'**above its bound**' if now.failures else ''}".strip(),
    ]
    return f"| {' | '.join(cells)} |"


def _commit() -> str:
    """The commit that is measured, and whether files were changed since."""
    command = ["git", "describe", "--always", "--dirty"]
    return subprocess.run(command, cwd=FOLDER, capture_output=True, text=True).stdout.strip()


def _counted() -> float:
    """Seconds in which this machine adds up twenty million numbers."""
    began, total = time.perf_counter(), 0
    for number in range(20_000_000):
        total += number
    return time.perf_counter() - began


def _version() -> str:
    with connection.cursor() as cursor:
        cursor.execute("SHOW server_version")
        version = cursor.fetchone()[0]
        cursor.execute("SELECT true FROM pg_extension WHERE extname = 'pg_trgm'")
        return f"{version} {'with' if cursor.fetchone() else 'without'} pg_trgm"


HEAD = """# How the cost grows with the data

`make bench-scale` writes this file. {day}, commit {commit}, {machine},
PostgreSQL {postgresql}, {share:g} of the
data that `data/seed.py` names. {above} of {number} figures are above their bound. The load of the
machine was {load:.0f} at the end: times can be compared where it was 1, rows and queries always.
Its Python adds up twenty million numbers in {counted:.1f} s: times of machines where that
differs differ as much.

Left of an arrow, where all data were measured, stands the same figure before counts, pages and
exports were bounded (`before.json`: commit a62e65b, of pages and calls, on a machine of this kind).
*Rows read* are those of all tables (`pg_stat_user_tables`), *MB* what a process took above idle.

| who | what | queries | database ms | bound | rows read | ms in all | MB | |
|---|---|---|---|---|---|---|---|---|
{rows}
"""
