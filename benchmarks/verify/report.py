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

from benchmarks.verify.contestants import FLOOR
from benchmarks.verify.load import CONNECTIONS, Load

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

Figures = dict[str, list[float]]

TEXT = """\
# What it costs to ask whether a token is good

Written by `make bench` on {date}. Run it on a machine of your own to compare: the
ratios travel, the absolute figures do not.

| | CPU, µs | × | requests/s | × | p50, ms | p99, ms |
|---|---:|---:|---:|---:|---:|---:|
{lines}

- **CPU** is what a request costs in the web process, through the whole WSGI handler and without a
  network. What the database does for it comes on top. Median of {rounds} rounds.
- **Requests/s** is what granian carries over loopback ({workers} workers, {threads} threads each;
  {connections} connections), while the client shares the machine's cores with it. The middle one of
  {http_rounds} rounds, with that round's waiting times.
- **×** is the ratio to the floor, the first line. In every round all take turns.
- Everything is on PostgreSQL, with persistent connections. Each table has {tokens:,} tokens, and
  the measured user has 50 of them, wherever a library lets a user have several.
- The peers are Django projects without any middleware. The portal is as it is shipped, but for its
  limit on refusals of one address, which would be what is measured.
- *Cold* is a token that the process has never seen, from an address that it was used from before.
{again}
## The machine

{machine}
"""

AGAIN = """
## With {many:,} tokens in the table

| | CPU, µs | × |
|---|---:|---:|
{lines}
"""


def write(
    cpu: Figures,
    loads: dict[str, list[Load]],
    again: Figures,
    *,
    options: argparse.Namespace,
    versions: list[str],
) -> str:
    """The whole of RESULTS.md."""
    return TEXT.format(
        date=datetime.now(UTC).strftime("%d %B %Y").lstrip("0"),
        rounds=options.rounds,
        http_rounds=options.http_rounds,
        workers=options.workers,
        threads=options.threads,
        connections=CONNECTIONS,
        tokens=options.tokens,
        lines="\n".join(_line(name, cpu, loads) for name in cpu),
        again=AGAIN.format(many=options.many, lines="\n".join(_short_line(n, again) for n in again))
        if again
        else "",
        machine="\n".join(f"- {each}" for each in [*_machine(), *versions]),
    )


def _line(name: str, cpu: Figures, loads: dict[str, list[Load]]) -> str:
    carried, floor = _typical(loads[name]), _typical(loads[FLOOR])
    return (
        f"| {name} | {_cpu(name, cpu)} "
        f"| {carried.rate:,.0f} | {carried.rate / floor.rate:.2f} "
        f"| {carried.p50_ms:.2f} | {carried.p99_ms:.2f} |"
    )


def _short_line(name: str, cpu: Figures) -> str:
    return f"| {name} | {_cpu(name, cpu)} |"


def _cpu(name: str, cpu: Figures) -> str:
    figure, floor = statistics.median(cpu[name]), statistics.median(cpu[FLOOR])
    digits = 0 if figure >= 100 else 1
    return f"{figure:,.{digits}f} | {figure / floor:.2f}"


def _typical(loads: list[Load]) -> Load:
    """The round in the middle."""
    return sorted(loads)[len(loads) // 2]


def _machine() -> list[str]:
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
