"""Has a Celery worker show that it is alive: every few seconds, unless it is stuck."""

import threading
import time
from collections.abc import Callable
from pathlib import Path

from django.conf import settings

from operations.probes.alive import Sign

EVERY_SECONDS = 5.0
LOOP_SECONDS = 300.0
"""A main loop that stands still for longer is stuck. Redis may hang, and hold it up, for less."""


class WorkerSign:
    """Shows the worker from a thread of its own, which asks the main loop whether it goes on.

    With the pool `solo` tasks run in that loop, and one may take its time. With `prefork` they run
    in processes of their own, whose tasks are not known here: the loop ends those over their time.
    """

    def __init__(self, data_dir: Path) -> None:
        self._sign = Sign(data_dir, "worker")
        self._running: dict[str, float] = {}
        self._ended = threading.Event()
        self._ask_loop: Callable[[Callable[[], None]], object] | None = None
        self._is_asked = False
        self._loop_moved_at = 0.0

    def start(self) -> None:
        threading.Thread(target=self._run, name="alive", daemon=True).start()

    def end(self) -> None:
        self._ended.set()
        self._sign.remove()

    def loop_begins(self, call_soon: Callable[[Callable[[], None]], object]) -> None:
        """The worker is connected. Its main loop calls what it is told to."""
        self._loop_moves()
        self._ask_loop = call_soon

    def loop_ends(self) -> None:
        """The connection is lost, or the worker ends: there is no loop to ask."""
        self._ask_loop = None

    def task_begins(self, task_id: str) -> None:
        self._running[task_id] = time.monotonic()

    def task_ends(self, task_id: str) -> None:
        self._running.pop(task_id, None)

    def is_stuck(self) -> bool:
        """True if a task of this process runs longer than any may, or the main loop stands still
        without one."""
        now = time.monotonic()
        if running := self._running.copy():
            longest = now - min(running.values())
            return longest > settings.CELERY_TASK_TIME_LIMIT + EVERY_SECONDS
        return self._ask_loop is not None and now - self._loop_moved_at > LOOP_SECONDS

    def ask_loop(self) -> None:
        """Have the main loop say that it moves, once it does. One question at a time."""
        ask = self._ask_loop  # read once: meanwhile the connection may be lost
        if ask is not None and not self._is_asked:
            self._is_asked = True
            ask(self._loop_moves)

    def _run(self) -> None:
        while not self._ended.is_set():
            if not self.is_stuck():
                self._sign.show()
            self.ask_loop()
            self._ended.wait(EVERY_SECONDS)

    def _loop_moves(self) -> None:
        self._loop_moved_at, self._is_asked = time.monotonic(), False
