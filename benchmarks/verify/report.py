"""The figures as a table, and the machine that they come from.

`python -m benchmarks.verify.report` prints the versions of what is measured, in a line of JSON.
"""

import argparse
import json
import os
import platform
import re
import statistics
import sys
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

from benchmarks.verify import aims
from benchmarks.verify.aims import Figures
from benchmarks.verify.contestants import COLD, FLOOR, HOT
from benchmarks.verify.load import CONNECTIONS
from benchmarks.verify.wrk import Load, typical

PACKAGES = (
    "Django",
    "djangorestframework",
    "django-rest-knox",
    "djangorestframework-api-key",
    "django-oauth-toolkit",
    "djangorestframework-simplejwt",
    "psycopg",
    "granian",
)


class Crowd(NamedTuple):
    """So many tokens in use, asked about over so many connections, of so many workers."""

    tokens: int
    connections: int
    workers: int


TEXT = """\
# What it costs to ask whether a token is good

Written by `make bench` on {date}. Run it on a machine of your own to compare: the
ratios travel, the absolute figures do not.

| | CPU, µs | from – to | × | requests/s | from – to | × | p50, ms | p99, ms |
|---|---:|---:|---:|---:|---:|---:|---:|---:|
{lines}

- **CPU** is what a request costs in the web process, through the whole WSGI handler and without a
  network. What the database does for it comes on top. Median of {rounds} rounds, and the spread.
- **Requests/s** is what the server carries over loopback ({workers} workers, {threads} threads
  each; {connections} connections), while the client shares the machine's cores with it. The middle
  one of {http_rounds} rounds, with that round's waiting times, and the spread. wrk 4.1 adds waits
  that nobody had; they are taken out again (`benchmarks/verify/wrk.py`).
- **×** is the ratio to the floor, the first line. In every round all take turns.
- Everything is on PostgreSQL, with persistent connections. Each table has {tokens:,} tokens, and
  the measured user has 50 of them, wherever a library lets a user have several.
- The peers are Django projects without any middleware. The portal is as it is shipped, but for its
  limit on refusals of one address, which would be what is measured.
- *Limited* is a token with three scopes and twenty allowed addresses. *Rotated* is a token that
  has a new secret, and *old secret* is its secret from before, which still works, and whose use is
  noted as well. *Uncounted* is a token like any, and nothing is counted of it for metrics.
- *Cold* is a token that the process has never seen, from an address that it was used from before.
- The ceiling is granian with a function that returns what `verify` says, and does nothing for it.
- The machine's load (processes that run or wait, of the last minute) before the {turns} turns:
  median {load:.1f}, {least:.1f} to {most:.1f}. The bench itself makes most of it.

## What it should be

Medians of the table above, divided.

| | is | should be | reached |
|---|---:|---:|---|
{aims}
{again}
## The machine

{machine}
"""

AGAIN = """
## As work grows

CPU of a verification, by the tokens in the table:

| Tokens | hot, µs | × | cold, µs | × |
|---:|---:|---:|---:|---:|
{tables}

Over loopback, by the tokens that are in use at the same time:

| Tokens in use | connections | workers | requests/s | from – to | p50, ms | p99, ms |
|---:|---:|---:|---:|---:|---:|---:|
{crowds}
"""


def write(
    cpu: Figures,
    loads: dict[str, list[Load]],
    growth: dict[int, Figures],
    crowds: dict[Crowd, list[Load]],
    *,
    busy: list[float],
    options: argparse.Namespace,
    versions: list[str],
) -> str:
    """The whole of RESULTS.md."""
    again = AGAIN.format(
        tables="\n".join(_table_line(number, each) for number, each in growth.items()),
        crowds="\n".join(_crowd_line(crowd, each) for crowd, each in crowds.items()),
    )
    return TEXT.format(
        date=datetime.now(UTC).strftime("%d %B %Y").lstrip("0"),
        rounds=options.rounds,
        http_rounds=options.http_rounds,
        workers=options.workers,
        threads=options.threads,
        connections=CONNECTIONS,
        tokens=options.tokens,
        turns=len(busy),
        load=statistics.median(busy),
        least=min(busy),
        most=max(busy),
        lines="\n".join(_line(name, cpu, loads) for name in loads),
        aims="\n".join(aims.lines(cpu, loads)),
        again=again if growth else "",
        machine="\n".join(f"- {each}" for each in [*machine(), *versions]),
    )


def _line(name: str, cpu: Figures, loads: dict[str, list[Load]]) -> str:
    rates, floor = [each.rate for each in loads[name]], typical(loads[FLOOR])
    carried = typical(loads[name])
    spread = f"{_figure(min(cpu[name]))} – {_figure(max(cpu[name]))}" if name in cpu else ""
    figure, _bar, ratio = _cpu(name, cpu).partition(" | ") if name in cpu else ("", "", "")
    return (
        f"| {name} | {figure} | {spread} | {ratio} "
        f"| {carried.rate:,.0f} | {min(rates):,.0f} – {max(rates):,.0f} "
        f"| {carried.rate / floor.rate:.2f} "
        f"| {carried.p50_ms:.2f} | {carried.p99_ms:.2f} |"
    )


def _table_line(tokens: int, cpu: Figures) -> str:
    return f"| {tokens:,} | {_cpu(HOT, cpu)} | {_cpu(COLD, cpu)} |"


def _crowd_line(crowd: Crowd, loads: list[Load]) -> str:
    carried, rates = typical(loads), [each.rate for each in loads]
    return (
        f"| {crowd.tokens:,} | {crowd.connections} | {crowd.workers} | {carried.rate:,.0f} "
        f"| {min(rates):,.0f} – {max(rates):,.0f} | {carried.p50_ms:.2f} | {carried.p99_ms:.2f} |"
    )


def _cpu(name: str, cpu: Figures) -> str:
    figure, floor = statistics.median(cpu[name]), statistics.median(cpu[FLOOR])
    return f"{_figure(figure)} | {figure / floor:.2f}"


def _figure(figure: float) -> str:
    return f"{figure:,.{0 if figure >= 100 else 1}f}"


def machine() -> list[str]:
    cpu = re.search(r"^model name\s*: (.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return [
        f"{cpu[1] if cpu else platform.machine()}, {os.cpu_count()} cores, {memory:.0f} GB",
        f"{platform.system()} {platform.release()}, load {os.getloadavg()[2]:.1f} "
        "(average of the last 15 minutes)",
    ]


def versions() -> list[str]:
    return [
        f"Python {platform.python_version()}",
        *(f"{name} {metadata.version(name)}" for name in PACKAGES),
    ]


if __name__ == "__main__":
    sys.stdout.write(f"{json.dumps({'versions': versions()})}\n")
