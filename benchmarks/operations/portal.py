"""The whole portal, started as people start it, and what it takes of the machine."""

import contextlib
import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from http import HTTPStatus
from pathlib import Path
from typing import Any

import psutil

from tests.environment import forget_own_portal
from tests.services import free_port

ROOT = Path(__file__).resolve().parents[2]
STARTS_WITHIN = 120
"""Seconds."""
READY = "Stop it with Ctrl-C."


class Portal:
    """A running portal: `python -m config.launcher` on data of its own."""

    def __init__(self, data_dir: Path, **environment: str) -> None:
        self.data_dir, self.port = data_dir, free_port()
        self.url = f"http://localhost:{self.port}"
        self.log = data_dir.with_name(f"{data_dir.name}.log")
        forget_own_portal()
        settings = {"DATA_DIR": str(data_dir), "PORT": str(self.port), **environment}
        self.environment = {**os.environ, **settings}
        """Of its processes; also for what is done beside it."""
        self.started_again: list[subprocess.Popen[bytes]] = []
        """Servers that were ended and started again while it ran: they are ended with it."""
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "config.launcher"],
                cwd=ROOT,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def wait(self) -> None:
        """Until it answers. Raises `RuntimeError` if it ends instead."""
        deadline = time.monotonic() + STARTS_WITHIN
        while READY not in self.log.read_text():
            if self.process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"The portal did not start:\n{self.log.read_text()}")
            time.sleep(0.2)

    def processes(self) -> list[psutil.Process]:
        """All of the portal's, the launcher first."""
        launcher = psutil.Process(self.process.pid)
        return [launcher, *launcher.children(recursive=True)]

    def named(self, word: str) -> list[psutil.Process]:
        """Those with this word in their command: "granian", "celery"."""
        found = []
        for each in self.processes():
            with contextlib.suppress(psutil.Error):
                if any(word in part for part in each.cmdline()):
                    found.append(each)
        return found

    def memory(self) -> float:
        """Megabytes of all processes together; what they share counts once (PSS)."""
        total = 0
        for each in self.processes():
            with contextlib.suppress(psutil.Error):
                total += each.memory_full_info().pss
        return total / 1e6

    def lines_logged(self) -> int:
        """But those that every request leaves, whatever becomes of it."""
        lines = self.log.read_bytes().splitlines()
        return sum(b" INFO permatoken.requests" not in line for line in lines)

    def health(self) -> dict[str, Any]:
        """What /healthz says, whatever its status; the status "none" if it does not answer."""
        try:
            with urllib.request.urlopen(f"{self.url}/healthz", timeout=5) as answer:
                found: dict[str, Any] = json.load(answer)
        except urllib.error.HTTPError as refused:
            found = json.load(refused)
        except OSError:
            return {"status": "none"}
        return found

    def unready(self) -> str:
        """Empty if /readyz says that it is ready; else what it says, or why it says nothing."""
        try:
            with urllib.request.urlopen(f"{self.url}/readyz", timeout=5) as answer:
                return "" if answer.status == HTTPStatus.OK else f"status {answer.status}"
        except urllib.error.HTTPError as refused:
            return refused.read().decode(errors="replace").strip() or f"status {refused.code}"
        except OSError as error:
            return f"no answer ({type(error).__name__})"

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(STARTS_WITHIN)


@contextlib.contextmanager
def running(data_dir: Path, **environment: str) -> Iterator[Portal]:
    """Start the portal, and end all of it with the block."""
    portal = Portal(data_dir, **environment)
    try:
        portal.wait()
        yield portal
    finally:
        if portal.process.poll() is None:
            portal.stop()
        for each in portal.started_again:
            each.terminate()
            each.wait(STARTS_WITHIN)
