"""The portal as a newcomer starts it: `python -m config.launcher` in a process of its own."""

import http.client
import os
import re
import shlex
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

ROOT = Path(__file__).resolve().parent.parent.parent
READY = "Stop it with Ctrl-C."
PATIENCE = 240
"""Seconds. Loaded machines start slowly, and no test should fail for that."""


class RunningPortal:
    """A start of the portal, its output, and all its processes."""

    def __init__(self, data_dir: Path, *, port: int, **environment: str) -> None:
        self.data_dir, self.port = data_dir, port
        self.log = data_dir.with_name(f"{data_dir.name}-{port}.log")
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "config.launcher"],
                cwd=ROOT,
                env=environment_of(data_dir, port=port, **environment),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=_hear_the_end_of_a_terminal,
            )

    @property
    def output(self) -> str:
        return self.log.read_text()

    @property
    def curl_line(self) -> list[str]:
        """The line that a newcomer is told to try, in words as a shell reads it."""
        match = re.search(r"^  (curl .*)$", self.output, re.MULTILINE)
        assert match is not None, self.output
        return shlex.split(match[1])

    def wait_for(self, text: str) -> None:
        """Wait until the output has this text."""
        wait_until(lambda: text in self.output or self.process.poll() is not None)
        assert text in self.output, self.output

    def get(self, path: str) -> tuple[int, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            connection.request("GET", path)
            answer = connection.getresponse()
            return answer.status, answer.read()
        finally:
            connection.close()

    def family(self) -> list[psutil.Process]:
        """All processes below this start."""
        return list(psutil.Process(self.process.pid).children(recursive=True))

    def child(self, word: str) -> psutil.Process:
        """The direct child whose command has this word."""
        children = psutil.Process(self.process.pid).children()
        return next(each for each in children if word in each.cmdline())

    def stop(self, by: signal.Signals = signal.SIGINT) -> int:
        """Send the signal and return the exit code."""
        self.process.send_signal(by)
        return self.process.wait(PATIENCE)


def _hear_the_end_of_a_terminal() -> None:
    """Children inherit what `nohup make test` ignores, and the portal respects that."""
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


@contextmanager
def started(data_dir: Path, *, port: int, **environment: str) -> Iterator[RunningPortal]:
    """Start the portal, and let nothing of it outlive the block."""
    portal = RunningPortal(data_dir, port=port, **environment)
    try:
        yield portal
    finally:
        if portal.process.poll() is None:
            portal.stop()


def environment_of(data_dir: Path, *, port: int, **environment: str) -> dict[str, str]:
    """An environment that chooses place and port, and anything else that is given."""
    inherited = {
        name: value
        for name, value in os.environ.items()
        if name not in ("DATABASE_URL", "REDIS_URL", "DJANGO_SETTINGS_MODULE", "HOST")
    }
    return {**inherited, "DATA_DIR": str(data_dir), "PORT": str(port), **environment}


def send(curl_line: list[str]) -> tuple[int, bytes]:
    """What curl would do with the line, on machines that may have no curl."""
    program, flag, header, url = curl_line
    assert (program, flag) == ("curl", "-H")
    name, _, value = header.partition(": ")
    request = urllib.request.Request(url, headers={name: value})
    with urllib.request.urlopen(request, timeout=30) as answer:
        return answer.status, answer.read()


def wait_until(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < deadline, "waited too long"
        time.sleep(0.1)


def have_ended(processes: list[psutil.Process]) -> bool:
    """True if all are gone, or dead and only wait to be reaped."""
    return all(not each.is_running() or each.status() == psutil.STATUS_ZOMBIE for each in processes)
