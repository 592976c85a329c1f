"""`make drills`: failures of what the portal depends on, one by one under the load of `make load`,
but slower.

Writes what answered what into docs/operations/drills.md, and ends with an error if an answer is not
the one that an operator wants: no 500, no refusal of a good token, verification that goes on where
it can, probes that say what fails where it belongs, log lines by the second and not by the request,
and everything well again by itself.
"""

import argparse
import contextlib
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import NamedTuple

from benchmarks.operations import failures
from benchmarks.operations.load import mix_for, portal_in
from benchmarks.operations.open_loop import Load, Tally
from benchmarks.operations.portal import ROOT, Portal

RATE = 100
"""Requests a second."""
BEFORE, AFTER, SETTLES_WITHIN = 5, 10, 60
"""Seconds of the phases, and for everything to be well again."""
MOST_LINES = 20
"""In the log, for each second of a failure."""
REPORT = ROOT / "docs" / "operations" / "drills.md"
DISK = 192
"""Megabytes of the file system that is filled."""
VERIFYING = ("verify", "introspect")
READING = ("list of tokens (page)", "audit log (page)", "list of tokens (API)")
CHANGING = ("create a token (API)", "delete a token (API, mails)")


class Drill(NamedTuple):
    """A failure for so many seconds, and what is wanted meanwhile."""

    name: str
    shape: str
    failure: Callable[[Portal], AbstractContextManager[None]]
    seconds: float = 15
    goes_on: tuple[str, ...] = ()
    """What is to be answered as if nothing had failed."""
    health: str = "ok"
    """What /healthz tells people."""
    is_ready: bool | None = True
    """Whether a load balancer is to go on asking (/readyz). None: it depends on who is asked."""
    most_unanswered: int = 0
    """Requests that may get no answer: those that are being answered when it happens."""
    environment: failures.Environment = failures.as_usual
    on_small_disk: bool = False

    @property
    def sends_mails(self) -> bool:
        """False if its mail server is the one that fails, as long as the portal runs."""
        return self.environment is failures.as_usual


ALL = VERIFYING + READING + CHANGING
WAITING = 24
"""Requests that two web processes let wait for a database at once: `config.database.places`."""
AT_HAND = 16
"""Requests that one web process answers at once: `WEB_THREADS`."""
DRILLS = [
    Drill("nothing fails", "scaled", failures.nothing, goes_on=ALL),
    Drill("Redis hangs", "scaled", failures.redis_hangs, goes_on=ALL, health="no redis"),
    Drill("Redis is away", "scaled", failures.redis_is_away, goes_on=ALL, health="no redis"),
    Drill(
        *("PostgreSQL hangs", "scaled", failures.database_hangs),
        health="unavailable",
        is_ready=False,
        most_unanswered=WAITING,
    ),
    Drill(
        *("PostgreSQL is away", "scaled", failures.database_is_away),
        health="unavailable",
        is_ready=False,
    ),
    Drill(
        *("PostgreSQL is read-only", "scaled", failures.database_is_read_only),
        goes_on=VERIFYING + READING,
        health="read only",
    ),
    Drill(
        *("PostgreSQL has no connection left", "scaled", failures.connections_are_used_up),
        health="unavailable",
        is_ready=None,  # a process that holds connections goes on, another can't begin
    ),
    Drill(
        *("the account's row is locked", "scaled", failures.account_is_locked),
        goes_on=VERIFYING + READING,
    ),
    Drill("worker and beat die", "scaled", failures.worker_dies, goes_on=ALL),
    Drill(
        *("a web process dies", "scaled", failures.web_process_dies),
        most_unanswered=AT_HAND,
    ),
    Drill(
        *("another web starts with a wrong pepper", "scaled", failures.pepper_is_wrong),
        goes_on=ALL,
    ),
    Drill(
        *("static files are gone", "scaled", failures.static_files_are_gone),
        goes_on=ALL,
        is_ready=False,
    ),
    Drill(
        *("the disk of the webs is full", "scaled", failures.disk_is_full),
        goes_on=ALL,
        health="disk refuses",
        on_small_disk=True,
    ),
    Drill(
        *("the mail server is away", "scaled", failures.nothing),
        goes_on=ALL,
        environment=failures.mail_server_away,
    ),
    Drill(
        *("the mail server hangs", "scaled", failures.nothing),
        goes_on=ALL,
        environment=failures.mail_server_hangs,
    ),
    Drill("nothing fails", "embedded", failures.nothing, goes_on=ALL),
    Drill(
        *("SQLite is locked by another process", "embedded", failures.database_is_locked),
        goes_on=VERIFYING + READING,
    ),
    Drill(
        *("the disk is full", "embedded", failures.disk_is_full),
        goes_on=VERIFYING + READING,
        health="read only",
        on_small_disk=True,
    ),
    Drill("worker and beat die", "embedded", failures.worker_dies, goes_on=ALL),
]


class Found(NamedTuple):
    """What a drill showed."""

    drill: Drill
    during: dict[str, Tally]
    health: str
    unready: str
    """What /readyz said at its end; empty: that it is ready."""
    lines: float
    """In the log, a second."""
    well_after: float | None
    """Seconds until everything was well again; None if it was not."""
    faults: Sequence[str] = ()


def main() -> None:
    parser = argparse.ArgumentParser(prog="benchmarks.operations.drills", description=__doc__)
    parser.add_argument(
        "--only", default="", help="Drills with this in their name, and their rows."
    )
    options = parser.parse_args()
    found = []
    for drill in DRILLS:
        if options.only in drill.name:
            _say(f"{drill.shape}: {drill.name}…")
            found.append(_drill(drill))
            _say("   " + ("; ".join(found[-1].faults) or "as it should be"))
    if options.only:
        _say(report(found))
    REPORT.write_text(_with_rows(REPORT.read_text(), found) if options.only else report(found))
    sys.exit(1 if any(each.faults for each in found) else 0)


def _drill(drill: Drill) -> Found:
    with contextlib.ExitStack() as stack:
        folder = stack.enter_context(_disk()) if drill.on_small_disk else None
        environment = stack.enter_context(drill.environment())
        portal = stack.enter_context(portal_in(drill.shape, folder=folder, **environment))
        load = Load(mix_for(portal), rate=RATE)
        load.start()
        time.sleep(BEFORE)
        load.new_phase()
        lines = portal.lines_logged()
        began = time.monotonic()
        with drill.failure(portal):
            time.sleep(drill.seconds)
            health, unready = str(portal.health().get("status")), portal.unready()
        took = time.monotonic() - began
        lines = portal.lines_logged() - lines
        during = load.new_phase()
        well_after = _until_well(portal, load, drill)
        load.new_phase()
        time.sleep(AFTER)
        load.stop()
        after = load.new_phase()
    found = Found(drill, during, health, unready, lines / took, well_after)
    return found._replace(faults=[*_faults_during(found), *_faults_afterwards(found, after)])


def _until_well(portal: Portal, load: Load, drill: Drill) -> float | None:
    """Seconds until /healthz is well and a second passes without a bad answer."""
    began = time.monotonic()
    while time.monotonic() < began + SETTLES_WITHIN:
        load.new_phase()
        time.sleep(1)
        bad = sum(tally.bad for tally in load.new_phase().values())
        if not bad and (not drill.sends_mails or portal.health().get("status") == "ok"):
            return time.monotonic() - began
    return None


def _faults_during(found: Found) -> Iterator[str]:
    drill, during = found.drill, found.during
    unanswered = 0
    for name, tally in during.items():
        unanswered += sum(n for status, n in tally.statuses.items() if isinstance(status, str))
        if tally.statuses[500]:
            yield f"{name} was answered {tally.statuses[500]} times 500"
        if name in ALL and tally.statuses[401]:
            yield f"{name} was refused {tally.statuses[401]} times, though its token is good"
        if name in drill.goes_on and tally.bad:
            yield f"{name} did not go on: {dict(tally.statuses)}"
    if unanswered > drill.most_unanswered:
        yield f"{unanswered} requests were not answered"
    if found.health != drill.health:
        yield f"/healthz said {found.health} instead of {drill.health}"
    if drill.is_ready is not None and drill.is_ready == bool(found.unready):
        yield f"/readyz said {found.unready or 'ready'}"
    if found.lines > MOST_LINES:
        yield f"{found.lines:.0f} lines a second in the log"


def _faults_afterwards(found: Found, after: dict[str, Tally]) -> Iterator[str]:
    if found.well_after is None:
        yield f"not well after {SETTLES_WITHIN} seconds"
    for name, tally in after.items():
        if tally.bad:
            yield f"afterwards {name} was answered {dict(tally.statuses)}"


@contextlib.contextmanager
def _disk() -> Iterator[Path]:
    """A small file system of its own, which can be filled. Only root can mount one."""
    with tempfile.TemporaryDirectory(prefix="permatoken-disk-") as folder:
        size = f"size={DISK}m"
        subprocess.run(["mount", "-t", "tmpfs", "-o", size, "tmpfs", folder], check=True)
        try:
            yield Path(folder)
        finally:
            subprocess.run(["umount", folder], check=True)


HEAD = """# Drills

What answers what while something fails. `make drills` makes these failures one by one, under a load
of {rate} requests a second (nine of ten ask about tokens), and writes this page: {when}.

A cell says how often which status was answered during the failure. 503 comes with `Retry-After`, so
clients try again; *none* is a connection that broke or an answer that took longer than ten seconds.
`/readyz` says whether a load balancer goes on to ask. *Log* is in lines a second of all processes.
*Well again* is the time from the end of the failure until `/healthz` says `ok` and nothing is
refused any more.

| shape | what fails | verify | reading | changing | `/healthz` | `/readyz` | log | well again | |
|---|---|---|---|---|---|---|---|---|---|
"""


def report(found: list[Found]) -> str:
    """The page."""
    head = HEAD.format(rate=RATE, when=time.strftime("%Y-%m-%d"))
    return head + "".join(f"{_line(each)}\n" for each in found)


def _with_rows(page: str, found: list[Found]) -> str:
    """The page as it is, with the rows of these drills in the place of their former ones."""
    rows = {f"| {each.drill.shape} | {each.drill.name} |": _line(each) for each in found}
    lines = (
        next((row for start, row in rows.items() if line.startswith(start)), line)
        for line in page.splitlines()
    )
    return "\n".join(lines) + "\n"


def _line(found: Found) -> str:
    cells = [
        found.drill.shape,
        found.drill.name,
        *(_counted(found.during, names) for names in (VERIFYING, READING, CHANGING)),
        f"`{found.health}`",
        "not ready" if found.unready else "ready",
        f"{found.lines:.1f}",
        "never" if found.well_after is None else f"{found.well_after:.0f} s",
        "; ".join(found.faults) or "✓",
    ]
    return f"| {' | '.join(cells)} |"


def _counted(during: dict[str, Tally], names: tuple[str, ...]) -> str:
    """How often which status came."""
    counts: Counter[str] = Counter()
    for name in names:
        for status, number in during.get(name, Tally()).statuses.items():
            counts[str(status) if isinstance(status, int) else "none"] += number
    return ", ".join(f"{status}: {number}" for status, number in sorted(counts.items()))


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
