"""Runs `wrk`, and reads what it says.

wrk 4.1 adds waits that nobody had: after a slow answer, those of the requests that would have been
sent meanwhile at the average rate (its "correction for coordinated omission"). With 32 connections,
each of which waits for its answer before it asks again, nobody would have sent them, and a single
slow moment decides what 99 of 100 wait. So the true waits are reckoned from all that it counts.
"""

import re
import shutil
import subprocess
import tempfile
from collections import defaultdict
from typing import NamedTuple

PATH = shutil.which("wrk")
SAY_ALL = """
function done(summary, latency, requests)
  io.write(string.format("\\nrequests %d\\nmicroseconds %d\\nrefused %d\\nlate %d\\n",
    summary.requests, summary.duration, summary.errors.status, summary.errors.timeout))
  for number = 1, #latency do io.write(string.format("wait %d %d\\n", latency(number))) end
end
"""
"""The end of each script."""


class Load(NamedTuple):
    """The load of a server: requests a second, and milliseconds of waiting. `refused`: the part of
    them that was answered with 400 or more, where the client knows."""

    rate: float
    p50_ms: float
    p99_ms: float
    refused: float | None = None


def typical(loads: list[Load]) -> Load:
    """The round in the middle."""
    return sorted(loads)[len(loads) // 2]


def run(address: str, script: str, *, seconds: int, connections: int) -> Load:
    """Have wrk ask as a script in Lua says, for so many seconds."""
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as file:
        file.write(script + SAY_ALL)
        file.flush()
        command = [
            *(PATH or "wrk", "--threads", "1", "--connections", str(connections)),
            *("--duration", f"{seconds}s", "--script", file.name, address),
        ]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
    return read(done.stdout, connections=connections)


def read(text: str, *, connections: int) -> Load:
    """What it says at its end."""
    requests, microseconds, refused, late = (
        int(re.findall(rf"^{name} (\d+)$", text, re.MULTILINE)[-1])
        for name in ("requests", "microseconds", "refused", "late")
    )
    counted = {int(wait): int(count) for wait, count in re.findall(r"wait (\d+) (\d+)", text)}
    in_time = requests - late  # what took more than two seconds is counted, and has no wait
    waits = counted
    if sum(counted.values()) != in_time:  # not by a wrk that adds nothing
        waits = true_waits(counted, usual=microseconds // (requests // connections))
    assert sum(waits.values()) == in_time, "wrk counts in another way than 4.1 and 4.2"
    return Load(
        rate=requests / microseconds * 1_000_000,
        p50_ms=_percentile(waits, 0.50),
        p99_ms=_percentile(waits, 0.99),
        refused=refused / requests,
    )


def true_waits(counted: dict[int, int], *, usual: int) -> dict[int, int]:
    """How often each wait really was, in microseconds.

    To each wait of twice the `usual` one or more, wrk 4.1 has added those that are shorter by one,
    two, three… usual ones, down to the usual one (`stats_correct` in its `stats.c`).
    """
    added, waits = defaultdict[int, int](int), dict[int, int]()
    for wait in sorted(counted, reverse=True):
        waits[wait] = counted[wait] - (added[wait % usual] if wait > usual else 0)
        if wait >= 2 * usual:
            added[wait % usual] += waits[wait]
    return waits


def client_name() -> str | None:
    """Which wrk it is; None if there is none."""
    if PATH is None:
        return None
    told = subprocess.run([PATH, "-v"], capture_output=True, text=True, check=False)
    version = re.search(r"wrk \S+", told.stdout + told.stderr)
    return version[0] if version else "wrk"


def _percentile(waits: dict[int, int], part: float) -> float:
    """In milliseconds."""
    left = part * sum(waits.values())
    for wait in sorted(waits):
        left -= waits[wait]
        if left <= 0:
            return wait / 1000
    raise AssertionError("wrk has counted nothing")
