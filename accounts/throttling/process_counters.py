"""Counters per minute, kept in each process's memory, so that counting costs no I/O.

A second after a process began to count a name, and every second from then on, it adds what is new
to a count in the shared cache and reads how much the others have added. So no process ever lets
more than a limit through, and together they let through what each had counted at its last exchange:
in the worst case, a burst within one second, the limit times the number of processes. If the cache
does not answer, each process holds the limit alone. (`accounts.throttling.rate_limits` is exact
instead, and asks the cache each time.)
"""

import logging
import math
import threading
from datetime import datetime
from time import monotonic

from django.conf import settings
from django.core.cache import cache

from accounts.bounded_dict import evict_oldest
from accounts.http.client_ip import network_of
from telemetry.metrics import LIMITED

logger = logging.getLogger(__name__)

WINDOW = 60
"""Seconds. Windows are whole minutes of the clock: all processes agree on when one begins."""
EXCHANGE_SECONDS = 1.0
CACHE_RETRY_SECONDS = 10.0
"""How long a cache that did not answer is not asked again: waiting for it costs a second each."""
SLOW_SECONDS = 0.25
"""A cache that takes longer for an exchange is not asked again for as long: those who wait for it
are verified in front of everything else."""
MAX_NAMES = 10_000

_BUSY_ADDRESS = (
    "Too many rejected tokens came from your address. Wait, and check the token that you send."
)


class TooMany(Exception):
    """The limit is reached: retry in `retry_after` seconds. `sentence` tells people what to do."""

    code = "too_many"

    def __init__(self, sentence: str, at: datetime) -> None:
        super().__init__(self.code)
        LIMITED.labels("refused-tokens" if sentence == _BUSY_ADDRESS else "token-uses").inc()
        self.sentence = sentence
        self.retry_after = math.ceil(WINDOW - at.timestamp() % WINDOW)


class _SharedCounts:
    """The counts of all processes together, in the cache."""

    def __init__(self) -> None:
        self.retry_at = 0.0

    def add(self, key: str, number: int, now: float) -> int | None:
        """Add to a count; returns it, or None if the cache does not answer.

        That is no reason to refuse anybody: whatever is wrong with the cache, it is logged.
        """
        if now < self.retry_at:
            return None
        began = monotonic()
        try:
            cache.add(key, 0, 2 * WINDOW)
            together = int(cache.incr(key, number))
        except Exception:
            logger.warning("The cache does not answer: each process limits alone.", exc_info=True)
            self.retry_at = now + CACHE_RETRY_SECONDS
            return None
        if monotonic() - began > SLOW_SECONDS:
            logger.warning("The cache answers slowly: each process limits alone for a while.")
            self.retry_at = now + CACHE_RETRY_SECONDS
        return together


_shared = _SharedCounts()


class _Count:
    """The count of one name in one minute: of this process, and of the others as far as known."""

    __slots__ = ("_adding", "_exchanging", "_key", "exchanged_at", "local", "others", "shared")

    def __init__(self, key: str, now: float) -> None:
        self._key = key
        self._adding = threading.Lock()
        self._exchanging = threading.Lock()
        self.local = self.shared = self.others = 0
        self.exchanged_at = now

    @property
    def total(self) -> int:
        return self.local + self.others

    def add(self) -> None:
        with self._adding:
            self.local += 1

    def exchange(self, now: float) -> None:
        """Share what is new, if it is time and no other thread is doing it."""
        if now - self.exchanged_at < EXCHANGE_SECONDS or not self._exchanging.acquire(
            blocking=False
        ):
            return
        try:
            local, self.exchanged_at = self.local, now
            everywhere = _shared.add(self._key, local - self.shared, now)
            if everywhere is not None:
                self.shared, self.others = local, max(0, everywhere - local)
        finally:
            self._exchanging.release()


class Counter:
    """Counts by minute and name. Holds so many names at most; the oldest is evicted."""

    def __init__(self, purpose: str, *, most: int = MAX_NAMES) -> None:
        self._purpose, self._most = purpose, most
        self._counts: dict[tuple[int, str], _Count] = {}
        self._minute = 0
        """Of the name that was begun last."""

    def __len__(self) -> int:
        return len(self._counts)

    def clear(self) -> None:
        self._counts.clear()

    def add(self, name: str, *, at: datetime) -> int:
        """Count once more. Returns how often in the minute of `at`, with this time."""
        now = at.timestamp()
        key = _key(name, now)
        count = self._counts.get(key) or self._begin(key, now)
        count.add()
        count.exchange(now)
        return count.total

    def count(self, name: str, *, at: datetime) -> int:
        """How often in the minute of `at`, as far as is known here."""
        now = at.timestamp()
        count = self._counts.get(_key(name, now))
        if count is None:
            return 0
        count.exchange(now)
        return count.total

    def _begin(self, key: tuple[int, str], now: float) -> _Count:
        minute, name = key
        new = _Count(f"limits:{self._purpose}:{minute}:{name}", now)
        count = self._counts.setdefault(key, new)
        evict_oldest(self._counts, most=self._most)
        if minute != self._minute:
            self._minute = minute
            self._drop_before(minute)
        return count

    def _drop_before(self, minute: int) -> None:
        """Evict the counts of earlier minutes, wherever they stand: behind one of a clock that ran
        ahead, too. So a late request evicts none of the present minute, unless the counter is full.
        """
        for key in list(self._counts):
            if key[0] < minute:
                self._counts.pop(key, None)


def _key(name: str, now: float) -> tuple[int, str]:
    return int(now // WINDOW), name


refusals = Counter("refusals")


def count_refusal(address: str | None, *, at: datetime) -> None:
    """Count a refused request of this address. Raises `TooMany` above `REFUSAL_RATE` a minute.

    Clients whose address is unknown share one count: who hides shuts out those who hide too, and
    nobody else.
    """
    if not settings.REFUSAL_RATE:
        return
    name = network_of(address)
    count = refusals.add(name, at=at)
    if count == settings.REFUSAL_RATE:
        logger.warning("Too many tokens from %s are refused; they wait a minute.", name or "?")
    if count > settings.REFUSAL_RATE:
        raise TooMany(_BUSY_ADDRESS, at)


def refuse_busy_address(address: str | None, *, at: datetime) -> None:
    """Raises `TooMany` before work is done for an address that was refused too often."""
    if not settings.REFUSAL_RATE:
        return
    if refusals.count(network_of(address), at=at) >= settings.REFUSAL_RATE:
        raise TooMany(_BUSY_ADDRESS, at)


def forget() -> None:
    """Clear everything, as in a process that has just started."""
    refusals.clear()
    _shared.retry_at = 0.0
