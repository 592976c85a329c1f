"""A shell at a terminal of its own, in which somebody types."""

import fcntl
import os
import pty
import select
import signal
import subprocess
import termios
import time
from collections.abc import Callable, Mapping
from functools import partial

from tests.documentation.blocks import ROOT

PATIENCE = 120
"""Seconds. Loaded machines start slowly."""


class Terminal:
    """Runs a script, step by step and no further than the first that fails."""

    def __init__(self, script: str, environment: Mapping[str, str]) -> None:
        self.ours, theirs = pty.openpty()
        self.said = ""
        self.process = subprocess.Popen(
            ["bash", "-euo", "pipefail", "-c", script],
            cwd=ROOT,
            env=environment,
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),  # passwords are asked of it
        )
        os.close(theirs)

    def type(self, text: str) -> None:
        os.write(self.ours, text.encode())

    def answer(self, prompt: str, line: str, *, times: int) -> None:
        """Type the line each time that something asks for it, in capitals or not."""
        for asked in range(1, times + 1):
            self.wait_until(partial(self._has_said, prompt, asked))
            self.type(f"{line}\n")

    def _has_said(self, text: str, times: int) -> bool:
        return self.said.lower().count(text.lower()) >= times

    def wait_until(self, is_so: Callable[[], bool]) -> None:
        deadline = time.monotonic() + PATIENCE
        while not is_so():
            is_open = self.read()
            assert is_open, self.said
            assert time.monotonic() < deadline, self.said

    def wait(self) -> int:
        """Its exit code, once it has ended by itself."""
        deadline = time.monotonic() + PATIENCE
        while self.read():
            assert time.monotonic() < deadline, self.said
        return self.process.wait(PATIENCE)

    def read(self) -> bool:
        """Take what was said meanwhile. False at the end."""
        if not select.select([self.ours], [], [], 0.1)[0]:
            return True
        try:
            text = os.read(self.ours, 65536)
        except OSError:  # how Linux tells the end of a terminal
            return False
        self.said += text.decode(errors="replace").replace("\r\n", "\n")
        return bool(text)

    def close(self) -> None:
        """End all that still runs in it."""
        if self.process.poll() is None:
            os.killpg(self.process.pid, signal.SIGTERM)
            while self.read():
                pass
            self.process.wait(PATIENCE)
        os.close(self.ours)
