"""Keeps those who wait for one lock from occupying all threads of a process: for the row of an
account, or for the lock that all writers of SQLite share.

At most half of the threads wait in the database. The others wait for their turn here as long as the
queue moves; where it does not, or once somebody has waited in vain, nobody waits any more until the
lock is free.
"""

import os
import sqlite3
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic

from django.db import OperationalError

MOST_WAITING = 8
"""Of the 16 threads that a process has by default."""
STUCK_AFTER = 1.0
"""Seconds without anybody of this process getting the lock."""
LOCK_NOT_AVAILABLE = "55P03"
"""As PostgreSQL says it."""


class LockQueue:
    """The queues of one process, by the id of the account (0: the whole database)."""

    def __init__(self) -> None:
        self.renew()

    def renew(self) -> None:
        """Begin anew. A forked process has no thread but the one that has forked it."""
        self._turn = threading.Condition()
        self._waiting = Counter[int]()
        self._moved_at: dict[int, float] = {}
        self._stuck: set[int] = set()

    @contextmanager
    def place(self, account_id: int) -> Iterator[bool]:
        """Ask for the lock within the block; it yields whether one may wait for it."""
        may_wait = self._enter(account_id)
        try:
            yield may_wait
        except OperationalError as error:
            self._leave(account_id, may_wait=may_wait, is_stuck=_is_locked(error))
            raise
        except BaseException:
            self._leave(account_id, may_wait=may_wait, is_stuck=False)
            raise
        self._leave(account_id, may_wait=may_wait, is_stuck=False)

    def _enter(self, account_id: int) -> bool:
        with self._turn:
            self._moved_at.setdefault(account_id, monotonic())
            while account_id not in self._stuck:
                if self._waiting[account_id] < MOST_WAITING:
                    self._waiting[account_id] += 1
                    return True
                rest = self._moved_at.get(account_id, 0) + STUCK_AFTER - monotonic()
                if rest <= 0:
                    break
                self._turn.wait(rest)
            return False

    def _leave(self, account_id: int, *, may_wait: bool, is_stuck: bool) -> None:
        with self._turn:
            self._waiting[account_id] -= may_wait
            if is_stuck and may_wait:
                self._stuck.add(account_id)
            elif not is_stuck:
                self._stuck.discard(account_id)
                self._moved_at[account_id] = monotonic()
            if self._waiting[account_id] <= 0:
                del self._waiting[account_id]
                self._moved_at.pop(account_id, None)
            self._turn.notify_all()


def _is_locked(error: OperationalError) -> bool:
    cause = error.__cause__
    if isinstance(cause, sqlite3.Error):
        return cause.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY
    return getattr(cause, "sqlstate", None) == LOCK_NOT_AVAILABLE


lock_queue = LockQueue()
os.register_at_fork(after_in_child=lock_queue.renew)
