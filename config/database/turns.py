"""Lets the threads of a process write to SQLite in the order in which they came.

SQLite has one lock for all writers, and a writer that waits for it looks again every tenth of a
second: who comes at the right moment gets it, and others wait until their time is up. So threads
wait for each other here, and of each process one looks (docs/decisions/0067). The thread that has
the lock is let ahead: beside one page it has half of the interpreter (docs/decisions/0068).
"""

import os
import sqlite3
import threading
from collections import deque

from django.db import OperationalError


class NoTurn(OperationalError):
    """Others write for longer than may be waited."""

    sqlstate = "55P03"
    """As PostgreSQL says of a lock that is not free."""

    def __init__(self) -> None:
        super().__init__("Others in this process keep the lock of SQLite's writers.")


class Turns:
    """One at a time, in order."""

    def __init__(self) -> None:
        self.renew()

    def renew(self) -> None:
        """Begin anew. A forked process has no thread but the one that has forked it."""
        self._change = threading.Lock()
        self._waiting = deque[threading.Lock]()
        self._is_taken = False
        self._writing: threading.Lock | None = None

    def take(self, *, seconds: float) -> bool:
        """Take a turn, and wait so long for it. False: others have it still."""
        with self._change:
            if not self._is_taken:
                self._is_taken = True
                return True
            mine = threading.Lock()
            mine.acquire()
            self._waiting.append(mine)
        try:
            if mine.acquire(timeout=seconds):
                return True
        except BaseException:  # the process is told to end
            if not self._withdraw(mine):
                self.leave()
            raise
        return not self._withdraw(mine)

    def _withdraw(self, mine: threading.Lock) -> bool:
        """False: the turn has come, at the last moment."""
        with self._change:
            is_waiting = mine in self._waiting
            if is_waiting:
                self._waiting.remove(mine)
        return is_waiting

    def begin_writing(self) -> None:
        """The thread whose turn it is has SQLite's lock, until the turn is left."""
        writing = threading.Lock()
        writing.acquire()
        self._writing = writing

    def give_way(
        self, *, seconds: float, but: "threading.Lock | None" = None
    ) -> "threading.Lock | None":
        """Wait until the thread that has SQLite's lock now has left it, but no longer than this.

        Returns what stands for its transaction if that was in vain: given as `but`, it is not
        waited for again.
        """
        writing = self._writing
        if writing is None or writing is but:
            return but
        if not writing.acquire(timeout=seconds):
            return writing
        writing.release()
        return but

    def leave(self) -> None:
        """Hand the turn to the next."""
        writing, self._writing = self._writing, None
        if writing is not None:
            writing.release()
        with self._change:
            if self._waiting:
                self._waiting.popleft().release()
            else:
                self._is_taken = False


turns = Turns()
os.register_at_fork(after_in_child=turns.renew)


class TurnTaker(sqlite3.Connection):
    """A connection that leaves its turn when its transaction ends."""

    has_turn = False

    def take_turn(self, *, seconds: float) -> bool:
        """Take it before the transaction begins. False: others have it still."""
        self.has_turn = turns.take(seconds=seconds)
        return self.has_turn

    def leave_turn(self) -> None:
        """Idempotent."""
        if self.has_turn:
            self.has_turn = False
            turns.leave()

    def commit(self) -> None:
        try:
            super().commit()
        finally:
            self.leave_turn()

    def rollback(self) -> None:
        try:
            super().rollback()
        finally:
            self.leave_turn()

    def close(self) -> None:
        try:
            super().close()
        finally:
            self.leave_turn()
