"""Supervises child processes: starts them, watches them, and stops them together."""

import contextlib
import ctypes
import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

STOP_TIMEOUT = 15
"""Seconds from SIGTERM to SIGKILL."""

_PR_SET_PDEATHSIG = 1


class Child(NamedTuple):
    """A running process and its name for people."""

    name: str
    process: subprocess.Popen[bytes]


class Ended(Exception):
    """A child process exited by itself."""

    def __init__(self, child: Child) -> None:
        super().__init__(
            f"The {child.name} ended by itself (exit code {child.process.returncode})."
        )


def start(name: str, command: Sequence[str], *, folder: Path, **environment: str) -> Child:
    """Start a program in a process group of its own: the terminal's Ctrl-C reaches only this
    process, which signals each child once."""
    process = subprocess.Popen(  # noqa: S603  # commands are ours, none comes from a person
        command,
        cwd=folder,
        env={**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        process_group=0,
        preexec_fn=_end_with_parent if sys.platform == "linux" else None,
    )
    return Child(name, process)


def watch(
    children: Iterable[Child], *, until: Callable[[], bool], within: float = math.inf
) -> None:
    """Wait until the condition holds. Raises `Ended` if a child ends before, and `TimeoutError`
    after `within` seconds."""
    deadline = time.monotonic() + within
    while not until():
        for child in children:
            if child.process.poll() is not None:
                raise Ended(child)
        if time.monotonic() > deadline:
            raise TimeoutError
        time.sleep(0.1)


def stop(children: Iterable[Child]) -> None:
    """Terminate all, wait for them together, then kill what is left of their process groups."""
    for child in children:
        child.process.terminate()
    deadline = time.monotonic() + STOP_TIMEOUT
    for child in children:
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.process.wait(max(0, deadline - time.monotonic()))
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child.process.pid, signal.SIGKILL)
        child.process.wait()


def _end_with_parent() -> None:
    """Signal the child on Linux when its parent dies, even by SIGKILL: no orphan holds the port."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
