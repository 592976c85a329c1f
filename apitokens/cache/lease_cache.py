"""Caches what one process has read, each fact for a lease of at most a second.

The promise: whatever is found here was so in the database at some moment of the last
`VERIFY_CACHE_SECONDS`, in this process, however threads, commits and slow reads fall together.

- A lease counts from before its read began, by a clock that also runs while the machine sleeps.
  The read has seen what was committed before; so nothing outlives its end by more than a lease.
- What is forgotten stays forgotten: a read that began earlier (and may have seen the old row) is
  not kept, because it belongs to an older generation.
- Nothing carries the news from one process to the other, so nothing that carries it can fail.
"""

import functools
import os
import threading
import time
from typing import Generic, NamedTuple, TypeVar

from django.db import connection

V = TypeVar("V")

clock = functools.partial(time.clock_gettime, getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC))
"""Seconds, which go on while the machine is suspended."""


def is_in_transaction() -> bool:
    """True where a read may see what is older than its beginning, or will never be committed."""
    return connection.in_atomic_block


class Reading(NamedTuple):
    """A read that is about to begin: when, and in which generation."""

    since: float
    generation: object


class ReadLeaseCache(Generic[V]):
    """Facts by the id of their row; no more than `most`, the one whose lease ends first goes."""

    def __init__(self, *, most: int) -> None:
        self._most = most
        self._start()
        if hasattr(os, "register_at_fork"):
            # A child must not inherit a lock that a thread of its parent holds.
            os.register_at_fork(after_in_child=self._start)

    def _start(self) -> None:
        self._held: dict[int, tuple[float, V]] = {}
        self._generation = object()
        self._change = threading.Lock()

    def __len__(self) -> int:
        return len(self._held)

    def find(self, row_id: int) -> V | None:
        """The fact, if its lease lasts. Takes no lock: readers wait for nothing."""
        held = self._held.get(row_id)
        return held[1] if held is not None and held[0] > clock() else None

    def begin(self) -> Reading:
        """Call this before the read whose result is to be kept."""
        return Reading(clock(), self._generation)

    def keep(self, row_id: int, fact: V, reading: Reading, *, seconds: float) -> None:
        """Remember what the reading found, unless something was forgotten meanwhile."""
        with self._change:
            if reading.generation is not self._generation or not seconds:
                return
            self._held.pop(row_id, None)
            self._held[row_id] = (reading.since + seconds, fact)
            while len(self._held) > self._most or self._has_ended_first():
                del self._held[next(iter(self._held))]

    def _has_ended_first(self) -> bool:
        """True if the oldest fact is of no use any more: memory holds what was asked for lately."""
        until, _fact = next(iter(self._held.values()), (float("inf"), None))
        return until <= clock()

    def forget(self, row_id: int) -> None:
        with self._change:
            self._generation = object()
            self._held.pop(row_id, None)

    def forget_all(self) -> None:
        with self._change:
            self._generation = object()
            self._held.clear()
