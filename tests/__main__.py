"""`python -m tests`: every test, on SQLite or on PostgreSQL, and on both where they differ.

On SQLite runs what touches no database, the embedded shape and what SQLite does its own way; on
PostgreSQL all that touches the database. docs/tests.md has the rule. Both run at the same time.

PostgreSQL and Redis are started for it, from their wheels, unless TEST_DATABASE_URL and
TEST_REDIS_URL name others. Arguments go on to pytest, both times.
"""

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, NamedTuple
from xml.etree import ElementTree

from tests import services

ROOT = Path(__file__).resolve().parent.parent
CORES = os.cpu_count() or 1
WORKERS = {"SQLite": 2 * CORES, "PostgreSQL": CORES + 1}
"""On SQLite half of the time is spent waiting: for portals, browsers, mail servers, the clock."""
LONG = "long or hypothesis"
"""The marks of the tests of `make test-long`."""
WORKERS_OF_LONG = {"SQLite": CORES, "PostgreSQL": 1}
"""The long forms start processes by the dozen: with more workers each waits for the others until
its time is up."""
GIVES_WAY = 2
"""How nice the run on PostgreSQL is. Most of its tests are short: it takes what the other leaves of
the cores, and is the last to end, on all of them. Nicer, its few long tests would take minutes."""
NOTHING_SELECTED = 5
"""pytest's exit code. With arguments that select by name it is no failure."""


class Run(NamedTuple):
    """One run of the suite, under way."""

    database: str
    process: subprocess.Popen[bytes]
    report: Path

    def end(self) -> None:
        """Stop pytest as a person would, so that its workers end what they have started."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            self.process.wait()


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
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="permatoken-suite-")))
        os.environ["TEST_PREPARED_DIR"] = str(folder)
        servers = stack.enter_context(_servers())
        said = stack.enter_context((folder / "said").open("w+b"))
        _say("\nTesting on SQLite, and on PostgreSQL at the same time…")
        scaled = _start("PostgreSQL", arguments, folder, servers, said)
        stack.callback(scaled.end)
        embedded = _start("SQLite", arguments, folder, EMBEDDED, None)
        stack.callback(embedded.end)
        embedded.process.wait()
        _say("\nTesting on PostgreSQL…")
        _follow(said, scaled.process)
        outcomes = [_outcome(run, is_narrow=bool(arguments)) for run in (embedded, scaled)]
    _say("")
    for outcome in outcomes:
        _say(f"{outcome.database}: {outcome.counts}")
    return 0 if all(outcome.is_good for outcome in outcomes) else 1


EMBEDDED = {"TEST_DATABASE_URL": "", "TEST_REDIS_URL": "", "TEST_ONCE": "1"}


@contextmanager
def _servers() -> Iterator[dict[str, str]]:
    """The environment of the scaled shape."""
    with ExitStack() as stack:
        database = os.environ.get("TEST_DATABASE_URL")
        redis = os.environ.get("TEST_REDIS_URL")
        own = {}
        if not database:
            _say("Starting PostgreSQL…")
            database = stack.enter_context(services.postgresql(is_durable=False))
            own["TEST_PREPARED_TABLES"] = database
        if not redis:
            _say("Starting Redis…")
            redis = stack.enter_context(services.redis())
        yield {**own, "TEST_DATABASE_URL": database, "TEST_REDIS_URL": redis}


def _start(
    database: str,
    arguments: Sequence[str],
    folder: Path,
    environment: Mapping[str, str],
    said: IO[bytes] | None,
) -> Run:
    """Run pytest. What it says goes to the terminal, or into the file."""
    report = folder / f"{database}.xml"
    is_long = LONG in arguments
    workers = (WORKERS_OF_LONG if is_long else WORKERS)[database]
    command = [
        *(sys.executable, "-m", "pytest", "-n", str(workers), "--dist", "worksteal"),
        *("--durations=20", "--durations-min=1", f"--junitxml={report}", "-o"),
        *("junit_family=xunit2", *arguments),
    ]
    if said:
        command = ["nice", "-n", str(GIVES_WAY), *command]
    process = subprocess.Popen(
        command,
        cwd=ROOT,
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        stdout=said,
        stderr=said,
    )
    return Run(database, process, report)


def _follow(said: IO[bytes], process: subprocess.Popen[bytes]) -> None:
    """Print what the file has and gets, until the process has ended."""
    with Path(said.name).open("rb") as reader:
        is_running = True
        while is_running:
            is_running = process.poll() is None
            while part := reader.read(1 << 16):
                sys.stdout.buffer.write(part)
            sys.stdout.flush()
            time.sleep(0.2 * is_running)


def _outcome(run: Run, *, is_narrow: bool) -> Outcome:
    code = run.process.wait()
    is_good = code == 0 or (is_narrow and code == NOTHING_SELECTED)
    return Outcome(run.database, is_good, _counts(run.report))


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
