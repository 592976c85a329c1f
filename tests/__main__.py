"""`python -m tests`: every test, on SQLite or on PostgreSQL, and on both where they differ.

On SQLite runs what touches no database, the embedded shape and what SQLite does its own way; on
PostgreSQL all that touches the database. docs/tests.md has the rule.

PostgreSQL and Redis are started for it, from their wheels, unless TEST_DATABASE_URL and
TEST_REDIS_URL name others. Arguments go on to pytest, both times.
"""

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple
from xml.etree import ElementTree

from tests import services

ROOT = Path(__file__).resolve().parent.parent
NOTHING_SELECTED = 5
"""pytest's exit code. With arguments that select by name it is no failure."""


class Run(NamedTuple):
    """A run of pytest: its report, and its output if that waits for the other run to end."""

    database: str
    process: "subprocess.Popen[bytes]"
    report: Path
    output: Path | None


def main(arguments: Sequence[str]) -> int:
    """0 if all tests passed on both databases. Both run at once: many a test waits for a portal, a
    browser or the clock, and one run alone leaves a core idle at its end."""
    signal.signal(signal.SIGTERM, lambda *_facts: sys.exit(143))  # the servers are stopped on exit
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="permatoken-report-")))
        scaled = {
            "TEST_DATABASE_URL": _database(stack),
            "TEST_REDIS_URL": os.environ.get("TEST_REDIS_URL")
            or stack.enter_context(services.redis()),
        }
        embedded = {"TEST_DATABASE_URL": "", "TEST_REDIS_URL": "", "TEST_ONCE": "1"}
        _say("Testing on SQLite, and at the same time on PostgreSQL, whose output follows…")
        runs = [
            _start("SQLite", arguments, embedded, folder, stack),
            _start("PostgreSQL", arguments, scaled, folder, stack, waits=True),
        ]
        is_good = [_is_good(run, arguments) for run in runs]
        _say("")
        for run in runs:
            _say(f"{run.database}: {_counts(run.report)}")
    return 0 if all(is_good) else 1


def _database(stack: ExitStack) -> str:
    given = os.environ.get("TEST_DATABASE_URL")
    return given or stack.enter_context(services.postgresql(is_durable=False))


def _start(
    database: str,
    arguments: Sequence[str],
    environment: Mapping[str, str],
    folder: Path,
    stack: ExitStack,
    *,
    waits: bool = False,
) -> Run:
    report = folder / f"{database}.xml"
    output = folder / f"{database}.txt" if waits else None
    command = [
        *(sys.executable, "-m", "pytest", "-n", str(os.cpu_count()), "--dist", "worksteal"),
        *("--durations=20", "--durations-min=1"),
        *(f"--junitxml={report}", "-o", "junit_family=xunit2", *arguments),
    ]
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        stdout=stack.enter_context(output.open("wb")) if output else None,
        stderr=subprocess.STDOUT if output else None,
    )
    stack.callback(process.wait)
    stack.callback(process.terminate)  # before the wait; nothing happens if it has ended
    return Run(database, process, report, output)


def _is_good(run: Run, arguments: Sequence[str]) -> bool:
    """Wait for the end of the run, and show what it has not shown yet."""
    code = run.process.wait()
    if run.output:
        _say(f"\nTested on {run.database}:\n{run.output.read_text(errors='replace')}")
    return code == 0 or (bool(arguments) and code == NOTHING_SELECTED)


def _counts(report: Path) -> str:
    """The numbers of a run as a sentence, from pytest's own report."""
    if not report.exists():
        return "did not run"
    suite = ElementTree.parse(report).getroot().find("testsuite")
    assert suite is not None
    tests, failed, errors, skipped = (
        int(suite.get(name, 0)) for name in ("tests", "failures", "errors", "skipped")
    )
    bad = failed + errors
    return f"{tests - bad - skipped} passed, {bad} failed, {skipped} skipped"


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
