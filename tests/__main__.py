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
CORES = os.cpu_count() or 1
WORKERS = {"SQLite": 2 * CORES, "PostgreSQL": CORES + 1}
"""On SQLite half of the time is spent waiting: for portals, browsers, mail servers, the clock."""
NOTHING_SELECTED = 5
"""pytest's exit code. With arguments that select by name it is no failure."""


class Outcome(NamedTuple):
    """How one run of the suite went."""

    database: str
    is_good: bool
    counts: str


def main(arguments: Sequence[str]) -> int:
    """0 if all tests passed on both databases."""
    signal.signal(signal.SIGTERM, lambda *_facts: sys.exit(143))  # the servers are stopped on exit
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background jobs ignore it
    # Hundreds of processes start. If each compiled all code anew, that would take a third longer.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    with tempfile.TemporaryDirectory(prefix="permatoken-prepared-") as folder:
        os.environ["TEST_PREPARED_DIR"] = folder
        outcomes = [_embedded(arguments), _scaled(arguments)]
    _say("")
    for outcome in outcomes:
        _say(f"{outcome.database}: {outcome.counts}")
    return 0 if all(outcome.is_good for outcome in outcomes) else 1


def _embedded(arguments: Sequence[str]) -> Outcome:
    return _run(
        "SQLite", arguments, {"TEST_DATABASE_URL": "", "TEST_REDIS_URL": "", "TEST_ONCE": "1"}
    )


def _scaled(arguments: Sequence[str]) -> Outcome:
    with ExitStack() as stack:
        database = os.environ.get("TEST_DATABASE_URL")
        redis = os.environ.get("TEST_REDIS_URL")
        if not database:
            _say("\nStarting PostgreSQL…")
            database = stack.enter_context(services.postgresql(is_durable=False))
        if not redis:
            _say("Starting Redis…")
            redis = stack.enter_context(services.redis())
        environment = {"TEST_DATABASE_URL": database, "TEST_REDIS_URL": redis}
        return _run("PostgreSQL", arguments, environment)


def _run(database: str, arguments: Sequence[str], environment: Mapping[str, str]) -> Outcome:
    _say(f"\nTesting on {database}…")
    with tempfile.TemporaryDirectory(prefix="permatoken-report-") as folder:
        report = Path(folder, "report.xml")
        command = [
            *(sys.executable, "-m", "pytest", "-n", str(WORKERS[database]), "--dist", "worksteal"),
            *(
                "--durations=20",
                "--durations-min=1",
                f"--junitxml={report}",
                "-o",
                "junit_family=xunit2",
                *arguments,
            ),
        ]
        code = _wait_for(command, {**os.environ, **environment})
        is_good = code == 0 or (bool(arguments) and code == NOTHING_SELECTED)
        return Outcome(database, is_good, _counts(report))


def _wait_for(command: Sequence[str], environment: Mapping[str, str]) -> int:
    """The exit code. Who is told to stop, stops pytest as a person would, so that its workers end
    what they have started."""
    with subprocess.Popen(command, cwd=ROOT, env=environment, stdin=subprocess.DEVNULL) as run:
        try:
            return run.wait()
        except BaseException:
            run.send_signal(signal.SIGINT)
            run.wait()
            raise


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
