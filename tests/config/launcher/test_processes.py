"""Programs that run side by side and stop together."""

import math
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from config.launcher import processes
from config.launcher.processes import Child

Start = Callable[..., Child]

SLEEP = "import time; time.sleep(600)"
STUBBORN = f"import signal; signal.signal(15, signal.SIG_IGN); open('ready', 'w'); {SLEEP}"
PARENT = (
    "import os, subprocess, sys; "
    f"child = subprocess.Popen([sys.executable, '-c', {SLEEP!r}]); "
    "open('draft', 'w').write(str(child.pid)); os.rename('draft', 'pid'); "
    f"{SLEEP}"
)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """`start(code)`: a program in Python, which does not outlive the test."""
    started: list[Child] = []

    def act(code: str, **environment: str) -> Child:
        child = processes.start(
            "sleeper", [sys.executable, "-c", code], folder=tmp_path, environment=environment
        )
        started.append(child)
        return child

    yield act
    for child in started:
        with suppress(ProcessLookupError):
            os.killpg(child.process.pid, 9)
        child.process.wait()


def test_program_reads_the_environment_it_is_given(start: Start) -> None:
    child = start("import os, sys; sys.exit(int(os.environ['CODE']))", CODE="7")

    assert child.process.wait() == 7


def test_program_that_ends_by_itself_is_named(start: Start) -> None:
    children = [start(SLEEP), start("raise SystemExit(3)")]

    with pytest.raises(processes.Ended, match=r"The sleeper ended by itself \(exit code 3\)."):
        processes.watch(children, until=lambda: False, within=30)


@pytest.mark.parametrize("often", [processes.MOST_REPLACEMENTS, math.inf])
def test_program_is_replaced_but_not_for_ever(
    tmp_path: Path, often: float, capfd: pytest.CaptureFixture[str]
) -> None:
    """One line is written by each that is started."""
    code = "open('started', 'a').write('x')"
    started = tmp_path / "started"
    child = processes.start(
        "worker", [sys.executable, "-c", code], folder=tmp_path, is_replaced=True
    )

    def is_enough() -> bool:
        return started.exists() and len(started.read_text()) > often

    with suppress(processes.Ended):
        processes.watch([child], until=is_enough, within=60)

    processes.stop([child])
    assert len(started.read_text()) == 1 + processes.MOST_REPLACEMENTS
    said = capfd.readouterr().err
    assert said.count("The worker ended by itself (exit code 0). It is being restarted.") == 3


def test_watch_ends_when_its_condition_holds(start: Start) -> None:
    answers = iter([False, False, True])

    processes.watch([start(SLEEP)], until=lambda: next(answers))

    assert not list(answers)


def test_watch_gives_up_in_time(start: Start) -> None:
    with pytest.raises(TimeoutError):
        processes.watch([start(SLEEP)], until=lambda: False, within=0.2)


def test_all_are_stopped_together(start: Start) -> None:
    children = [start(SLEEP), start(SLEEP)]

    processes.stop(children)

    assert [child.process.poll() for child in children] == [-15, -15]


def test_program_that_will_not_stop_is_killed(
    start: Start, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(processes, "STOP_TIMEOUT", 0.5)
    child = start(STUBBORN)
    _wait_until((tmp_path / "ready").exists)

    processes.stop([child])

    assert child.process.poll() == -9


def test_nothing_that_a_program_has_started_stays_behind(start: Start, tmp_path: Path) -> None:
    child = start(PARENT)
    _wait_until((tmp_path / "pid").exists)
    grandchild = int((tmp_path / "pid").read_text())

    processes.stop([child])

    _wait_until(lambda: _has_ended(grandchild))


def test_stop_is_idempotent(start: Start) -> None:
    child = start(SLEEP)
    processes.stop([child])

    processes.stop([child])

    assert child.process.returncode == -15


def _wait_until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def _has_ended(pid: int) -> bool:
    """True for a process that is gone, or dead and only waits to be reaped."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return True
    return state == "Z"
