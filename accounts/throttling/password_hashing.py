"""Hashing of passwords, in a thread of its own with a short queue in front of it.

A hash is expensive on purpose. With one for every request that asks, sign-ins that stay within all
limits would take memory and processors away from everything else (docs/decisions/0031). So each
process hashes one password at a time, in a thread that gives way to all others, and says that it is
busy when too many wait. The parameters are those of OWASP's Password Storage Cheat Sheet.
"""

import contextlib
import os
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from django.contrib.auth.hashers import Argon2PasswordHasher
from django.views.decorators.debug import sensitive_variables

from accounts.throttling.threads import SHARES

MOST_WAITING = SHARES.hashing
"""With the one in hand. Together with those who wait for an estimate of a password's strength they
are fewer than may wait patiently for the database (`config.database.places`): they have such a
place, and if they had all of them, the next would wait at the door with the remaining threads,
until none was left for verification. A hash takes some 25 ms of an idle processor."""
NICENESS = 10
"""Of the thread: while others have work, it gets a tenth of their time."""
RETRY_AFTER = 1

Result = TypeVar("Result")


class TooBusy(Exception):
    """More passwords wait than the process can hash in time; retry in `retry_after` seconds."""

    retry_after = RETRY_AFTER

    def __init__(self) -> None:
        super().__init__("Too many people are signing in right now. Try again in a second.")


class Argon2(Argon2PasswordHasher):
    """Argon2id with 19 MiB, two passes and one lane. Raises `TooBusy`."""

    time_cost = 2
    memory_cost = 19 * 1024
    parallelism = 1

    @sensitive_variables()
    def encode(self, password: str, salt: str) -> str:
        return in_turn(lambda: super(Argon2, self).encode(password, salt))

    @sensitive_variables()
    def verify(self, password: str, encoded: str) -> bool:
        return in_turn(lambda: super(Argon2, self).verify(password, encoded))


def in_turn(hash_password: Callable[[], Result]) -> Result:
    """Call it when those before have been served. Raises `TooBusy` at once if too many wait."""
    with place():
        # Error reports hide the variables of what is called from here, in its own thread too.
        return _gate.thread.submit(sensitive_variables()(hash_password)).result()


@contextlib.contextmanager
def place() -> Iterator[None]:
    """Take a place for all that this thread hashes in the block, before anything else is done: a
    request that is sent away has used up nothing. Raises `TooBusy`."""
    if getattr(_gate.here, "has_place", False):
        yield
        return
    if not _gate.queue.acquire(blocking=False):
        raise TooBusy
    _gate.here.has_place = True
    try:
        yield
    finally:
        _gate.here.has_place = False
        _gate.queue.release()


class _Gate:
    """The queue of this process, its thread, and what each thread knows of itself."""

    def __init__(self) -> None:
        self.renew()

    def renew(self) -> None:
        """Begin anew. A forked process has no thread but the one that has forked it."""
        self.queue = threading.BoundedSemaphore(MOST_WAITING)
        self.thread = ThreadPoolExecutor(1, "password-hashing", initializer=_give_way)
        self.here = threading.local()


def _give_way() -> None:
    """On Linux threads have a priority of their own; elsewhere it would be the process's."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICENESS)


_gate = _Gate()
os.register_at_fork(after_in_child=_gate.renew)
