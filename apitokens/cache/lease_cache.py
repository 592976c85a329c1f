"""Caches what one process has read, each fact for a lease of at most a second.

The promise: whatever is found here was so in the database at some moment of the last
`VERIFY_CACHE_SECONDS`, in this process, however threads, commits and slow reads fall together.

- A lease counts from before its read began, by a clock that also runs while the machine sleeps.
  The read has seen what was committed before; so nothing outlives its end by more than a lease.
- What is forgotten stays forgotten, in all processes that share the marks (`marks`): an entry
  counts while the mark stands that stood before its read began. So a read that began earlier (and
  may have seen the old row) is of no use either.
- Leases need no news of anybody. Whatever carries news from one host to another may fail.
"""

import functools
import os
import secrets
import threading
import time
from collections.abc import Callable
from typing import Generic, NamedTuple, TypeVar

from django.db import connection

V = TypeVar("V")

clock = functools.partial(time.clock_gettime, getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))
"""Seconds, which go on while the machine is suspended."""


def draw_mark() -> float:
    """A number that never stood anywhere. (A float in shared memory is read in a third of the time
    of an integer of as many bytes.)"""
    return float(secrets.randbits(53))


def is_in_transaction() -> bool:
    """True where a read may see what is older than its beginning, or will never be committed."""
    return connection.in_atomic_block


class Reading(NamedTuple):
    """A read that is about to begin: when, under which mark, and until when what it finds may be
    kept at the longest."""

    since: float
    mark: float
    until: float = float("inf")


class ReadLeaseCache(Generic[V]):
    """Facts by the id of their row; no more than `most`, the one whose lease ends first goes.

    `find_marks` tells the marks of the rows (a power of two), and until when leases may last.
    """

    def __init__(
        self,
        *,
        most: int,
        find_marks: "Callable[[], tuple[memoryview[float], float]] | None" = None,
    ) -> None:
        self._most = most
        self._find_marks = find_marks
        self._marks = memoryview(bytearray(8 * 64)).cast("d")
        self._start()
        if hasattr(os, "register_at_fork"):
            # A child must not inherit a lock that a thread of its parent holds.
            os.register_at_fork(after_in_child=self._start)

    def _start(self) -> None:
        self._held: dict[int, tuple[float, V, float, int]] = {}
        self._change = threading.Lock()

    def __len__(self) -> int:
        return len(self._held)

    def find(self, row_id: int) -> V | None:
        """The fact, if its lease lasts and its mark stands. Takes no lock: readers wait for
        nothing."""
        held = self._held.get(row_id)
        if held is None:
            return None
        until, fact, mark, place = held
        return fact if self._marks[place] == mark and until > clock() else None

    def begin(self, row_id: int) -> Reading:
        """Call this before the read whose result is to be kept."""
        until = self._use_marks()
        return Reading(clock(), self._marks[self.place_of(row_id)], until)

    def keep(self, row_id: int, fact: V, reading: Reading, *, seconds: float) -> None:
        """Remember what the reading found, unless it was forgotten meanwhile."""
        until = min(reading.since + seconds, reading.until)
        place = self.place_of(row_id)
        if until <= clock() or self._marks[place] != reading.mark:
            return
        with self._change:
            self._held.pop(row_id, None)
            self._held[row_id] = (until, fact, reading.mark, place)
            while len(self._held) > self._most or self._has_ended_first():
                del self._held[next(iter(self._held))]

    def _use_marks(self) -> float:
        """Use the marks as they are now. Returns until when leases may last."""
        if self._find_marks is None:
            return float("inf")
        marks, until = self._find_marks()
        if marks is not self._marks:
            self._held.clear()  # of another database, or of the process that has forked this one
            self._marks = marks
        return until

    def place_of(self, row_id: int) -> int:
        """The place of the row's mark."""
        return row_id & (len(self._marks) - 1)

    def _has_ended_first(self) -> bool:
        """True if the oldest fact is of no use any more: memory holds what was asked for lately."""
        oldest = next(iter(self._held.values()), None)
        return oldest is not None and oldest[0] <= clock()

    def forget(self, row_id: int) -> None:
        """Forget the row, in all processes that share the marks."""
        self._use_marks()
        self._marks[self.place_of(row_id)] = draw_mark()
        with self._change:
            self._held.pop(row_id, None)

    def clear(self) -> None:
        """Forget all rows, in this process alone: that asks nobody anything."""
        with self._change:
            self._held.clear()

    def forget_all(self) -> None:
        self._use_marks()
        for place in range(len(self._marks)):
            self._marks[place] = draw_mark()
        with self._change:
            self._held.clear()
