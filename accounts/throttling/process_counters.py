"""How often in a minute: counted by each process in its own memory, so that counting costs no I/O.

A second after a process began to count somebody, and every second from then on, it tells the shared
cache and hears what the others have told. So no process ever lets more than a limit through, and
together they let through what each had counted when it last heard of the others: in the worst case,
a burst within one second, the limit times the number of processes. If the cache does not answer,
each holds the limit alone. (`accounts.throttling.rate_limits` is exact instead, and asks the cache
each time.)
"""

import contextlib
import itertools
import logging
import math
import threading
from datetime import datetime
from typing import Any

from django.conf import settings
from django.core.cache import cache

from accounts.http.client_ip import network_of

logger = logging.getLogger(__name__)

WINDOW = 60
"""Seconds. Windows are whole minutes of the clock: all processes agree on when one begins."""
TOLD_EVERY = 1.0
LEFT_ALONE_FOR = 10.0
"""Seconds in which nobody asks a cache that did not answer: waiting for it costs a second each."""
MOST_COUNTED = 10_000

_BUSY_ADDRESS = (
    "Too many refused tokens came from your address. Wait, and check the token that you send."
)


class TooMany(Exception):
    """Not now: `retry_after` says in how many seconds, `sentence` what to do."""

    code = "too_many"

    def __init__(self, sentence: str, at: datetime) -> None:
        super().__init__(self.code)
        self.sentence = sentence
        self.retry_after = math.ceil(WINDOW - at.timestamp() % WINDOW)


class _Shared:
    """The counts that all processes share, in the cache."""

    def __init__(self) -> None:
        self.left_alone_until = 0.0

    def add(self, name: str, number: int, now: float) -> int | None:
        """Add to a count; returns it, or None if the cache does not answer.

        That is no reason to refuse anybody: whatever is wrong with the cache, it is logged.
        """
        if now < self.left_alone_until:
            return None
        try:
            cache.add(name, 0, 2 * WINDOW)
            return int(cache.incr(name, number))
        except Exception:
            logger.warning("The cache does not answer: each process limits alone.", exc_info=True)
            self.left_alone_until = now + LEFT_ALONE_FOR
            return None


_shared = _Shared()


class _Count:
    """How often in this minute: here, and elsewhere as far as is known."""

    __slots__ = ("_here", "_telling", "elsewhere", "here", "told", "told_at")

    def __init__(self, now: float) -> None:
        self._here = itertools.count(1)
        self._telling = threading.Lock()
        self.here = self.told = self.elsewhere = 0
        self.told_at = now

    @property
    def total(self) -> int:
        return self.here + self.elsewhere

    def add(self) -> None:
        self.here = next(self._here)

    def exchange(self, name: str, now: float) -> None:
        """Tell the others, if it is time and no other thread is at it."""
        if now - self.told_at < TOLD_EVERY or not self._telling.acquire(blocking=False):
            return
        try:
            here, self.told_at = self.here, now
            everywhere = _shared.add(name, here - self.told, now)
            if everywhere is not None:
                self.told, self.elsewhere = here, max(0, everywhere - here)
        finally:
            self._telling.release()


def drop_first(held: dict[Any, Any], *, most: int) -> None:
    """Drop what came first until no more than `most` are left, whatever other threads do to it."""
    while len(held) > most:
        with contextlib.suppress(RuntimeError, StopIteration):  # another thread was faster
            held.pop(next(iter(held)), None)


class Counter:
    """Counts by name within the present minute. Remembers so many names at most; the one that was
    counted first goes."""

    def __init__(self, purpose: str, *, most: int = MOST_COUNTED) -> None:
        self._purpose, self._most = purpose, most
        self.clear()

    def __len__(self) -> int:
        return len(self._counts)

    def clear(self) -> None:
        self._minute = 0
        self._counts: dict[str, _Count] = {}

    def add(self, name: str, *, at: datetime) -> int:
        """Count once more. Returns how often in this minute, with this time."""
        now = at.timestamp()
        counts = self._of_the_minute(now)
        count = counts.get(name)
        if count is None:
            count = counts.setdefault(name, _Count(now))
            drop_first(counts, most=self._most)
        count.add()
        count.exchange(self._shared_name(name), now)
        return count.total

    def count(self, name: str, *, at: datetime) -> int:
        """How often in this minute, as far as is known here."""
        now = at.timestamp()
        count = self._of_the_minute(now).get(name)
        if count is None:
            return 0
        count.exchange(self._shared_name(name), now)
        return count.total

    def _of_the_minute(self, now: float) -> dict[str, _Count]:
        minute = int(now // WINDOW)
        if minute != self._minute:
            self._minute, self._counts = minute, {}
        return self._counts

    def _shared_name(self, name: str) -> str:
        return f"limits:{self._purpose}:{self._minute}:{name}"


refusals = Counter("refusals")


def count_refusal(address: str | None, *, at: datetime) -> None:
    """Somebody was refused. Raises `TooMany` above `REFUSAL_RATE` a minute."""
    if not settings.REFUSAL_RATE or address is None:
        return
    name = network_of(address)
    count = refusals.add(name, at=at)
    if count == settings.REFUSAL_RATE:
        logger.warning("Too many tokens from %s are refused; they wait a minute.", name)
    if count > settings.REFUSAL_RATE:
        raise TooMany(_BUSY_ADDRESS, at)


def refuse_busy_address(address: str | None, *, at: datetime) -> None:
    """Raises `TooMany` before work is done for an address that was refused too often."""
    if not settings.REFUSAL_RATE or address is None:
        return
    if refusals.count(network_of(address), at=at) >= settings.REFUSAL_RATE:
        raise TooMany(_BUSY_ADDRESS, at)


def forget() -> None:
    """Begin anew, as a process that has just started does."""
    refusals.clear()
    _shared.left_alone_until = 0.0
