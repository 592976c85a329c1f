"""Has a Celery worker show that it is alive: every few seconds, unless a task is over its time."""

import threading
import time
from pathlib import Path

from django.conf import settings

from operations.probes.alive import Sign

EVERY_SECONDS = 5.0


class WorkerSign:
    """Shows the worker from a thread of its own: with the pool `solo` tasks run in the main one."""

    def __init__(self, data_dir: Path) -> None:
        self._sign = Sign(data_dir, "worker")
        self._running: dict[str, float] = {}
        self._ended = threading.Event()

    def start(self) -> None:
        threading.Thread(target=self._run, name="alive", daemon=True).start()

    def end(self) -> None:
        self._ended.set()
        self._sign.remove()

    def task_begins(self, task_id: str) -> None:
        self._running[task_id] = time.monotonic()

    def task_ends(self, task_id: str) -> None:
        self._running.pop(task_id, None)

    def is_stuck(self) -> bool:
        """True if a task of this process runs longer than any may."""
        if not (running := self._running.copy()):
            return False
        return (
            time.monotonic() - min(running.values())
            > settings.CELERY_TASK_TIME_LIMIT + EVERY_SECONDS
        )

    def _run(self) -> None:
        while not self._ended.is_set():
            if not self.is_stuck():
                self._sign.show()
            self._ended.wait(EVERY_SECONDS)
