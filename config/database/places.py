"""Keeps requests that wait for the database from occupying all threads of a process.

Whatever they wait for (the lock of a row, the one that all writers of SQLite share, a server that
hangs), at most half of the threads may wait as long as a request may. The others wait for their
turn here while those inside get on; where they do not, a lock keeps them for a moment only. And a
quarter of the threads is never let in: it serves what needs no database, whatever becomes of it.
"""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from time import monotonic

from django.db import OperationalError

from accounts.throttling.threads import SHARES, Shares
from telemetry.metrics import DATABASE_TURNED_AWAY

STUCK_AFTER = 1.0
"""Seconds in which no statement of those inside has succeeded."""


class NoPlace(OperationalError):
    """The database keeps all waiting that may ask it."""

    sqlstate = "55P03"
    """As PostgreSQL says of a lock that is not free."""

    def __init__(self) -> None:
        DATABASE_TURNED_AWAY.inc()
        super().__init__("The database answers none of those that ask it already.")


class Places:
    """So many may be inside at once."""

    def __init__(self, number: int) -> None:
        self._number, self._inside = number, 0
        self._turn = threading.Condition()
        self._moved_at = 0.0

    @property
    def inside(self) -> int:
        """How many are."""
        return self._inside

    def enter(self) -> bool:
        """Take a place, or wait for one while those inside get on. False: there is none."""
        with self._turn:
            while self._inside >= self._number:
                rest = self._moved_at + STUCK_AFTER - monotonic()
                if rest <= 0:
                    return False
                self._turn.wait(rest)
            if not self._inside:
                self.move()
            self._inside += 1
            return True

    def leave(self) -> None:
        with self._turn:
            self._inside -= 1
            self._turn.notify()

    def move(self) -> None:
        """Note that one of those inside gets on."""
        self._moved_at = monotonic()


class Place:
    """A request's place: whether it may wait, and that it gets on."""

    def __init__(self, *rooms: Places, may_wait: bool) -> None:
        self._rooms, self.may_wait = rooms, may_wait

    def move(self) -> None:
        for room in self._rooms:
            room.move()


class DatabasePlaces:
    """The places of one process."""

    def __init__(self, shares: Shares = SHARES) -> None:
        self._shares = shares
        self.renew()

    def renew(self) -> None:
        """Begin anew. A forked process has no thread but the one that has forked it."""
        self.patient = Places(self._shares.patient)
        self.all = Places(self._shares.with_database)

    @contextmanager
    def take(self, *, is_patient: bool) -> Iterator[Place]:
        """A place for the block; if it asks to be patient, it may have to do without. Raises
        `NoPlace`."""
        patient, everybody = self.patient, self.all
        may_wait = is_patient and patient.enter()
        try:
            if not everybody.enter():
                raise NoPlace
            try:
                rooms = (patient, everybody) if may_wait else (everybody,)
                yield Place(*rooms, may_wait=may_wait)
            finally:
                everybody.leave()
        finally:
            if may_wait:
                patient.leave()


places = DatabasePlaces()
os.register_at_fork(after_in_child=places.renew)
