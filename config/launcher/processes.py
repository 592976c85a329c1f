"""Supervises child processes: starts them, watches them, and stops them together."""

import contextlib
import ctypes
import math
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

STOP_TIMEOUT = 15
"""Seconds from SIGTERM to SIGKILL."""

MOST_REPLACEMENTS, REPLACED_WITHIN = 3, 60
"""A program that ends more often within so many seconds will not do better the next time."""

_PR_SET_PDEATHSIG = 1


@dataclass
class Child:
    """A running process and its name for people. One that `is_replaced` is started anew when it
    ends by itself."""

    name: str
    spawn: Callable[[], subprocess.Popen[bytes]]
    is_replaced: bool
    ended_at: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.process = self.spawn()

    def replace(self) -> bool:
        """Start it anew. False if it is not to be, or has ended too often of late."""
        now = time.monotonic()
        self.ended_at = [at for at in self.ended_at if now - at < REPLACED_WITHIN] + [now]
        if not self.is_replaced or len(self.ended_at) > MOST_REPLACEMENTS:
            return False
        sys.stderr.write(f"{Ended(self)} It is being restarted.\n")
        _kill_group(self.process)
        self.process = self.spawn()
        return True


class Ended(Exception):
    """A child process exited by itself."""

    def __init__(self, child: Child) -> None:
        super().__init__(
            f"The {child.name} ended by itself (exit code {child.process.returncode})."
        )


def start(
    name: str,
    command: Sequence[str],
    *,
    folder: Path,
    is_replaced: bool = False,
    environment: Mapping[str, str] | None = None,
) -> Child:
    """Start a program in a process group of its own: the terminal's Ctrl-C reaches only this
    process, which signals each child once."""

    def spawn() -> subprocess.Popen[bytes]:
        return subprocess.Popen(  # noqa: S603  # commands are ours, none comes from a person
            command,
            cwd=folder,
            env={**os.environ, **(environment or {})},
            stdin=subprocess.DEVNULL,
            process_group=0,
            preexec_fn=_end_with_parent if sys.platform == "linux" else None,
        )

    return Child(name, spawn, is_replaced)


def watch(
    children: Iterable[Child], *, until: Callable[[], bool], within: float = math.inf
) -> None:
    """Wait until the condition holds. Raises `Ended` if a child ends before and is not replaced,
    and `TimeoutError` after `within` seconds."""
    deadline = time.monotonic() + within
    while not until():
        for child in children:
            if child.process.poll() is not None and not child.replace():
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
        _kill_group(child.process)
        child.process.wait()


def _kill_group(process: subprocess.Popen[bytes]) -> None:
    """Kill what a program has started, too."""
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def _end_with_parent() -> None:
    """Signal the child on Linux when its parent dies, even by SIGKILL: no orphan holds the port."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
