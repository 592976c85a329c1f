"""Rate limits that all processes share, exact in every window.

A limit of 5 a minute is five slots. A try acquires a free slot and keeps it for a minute; without a
free slot it is refused, and told how long to wait. So there are never more than five tries within
any minute, a limit costs the cache five short entries for each subject, and acquiring a slot is one
`add`, which the cache grants to one process only.
"""

import hashlib
import math
from collections.abc import Container, Iterable
from dataclasses import dataclass
from datetime import timedelta
from time import time

from django.core.cache import cache

from telemetry.metrics import LIMITED

Slots = list[str]
"""Their keys in the cache."""


@dataclass(frozen=True, slots=True)
class Limit:
    """At most `times` tries of one subject `per` period."""

    name: str
    times: int
    per: timedelta


class TooManyTries(Exception):
    """The limit is reached; `retry_after` says in how many seconds a slot is free, at least 1."""

    def __init__(self, retry_after: int) -> None:
        super().__init__(f"Too many attempts. Try again in {retry_after} seconds.")
        self.retry_after = retry_after


def acquire(limit: Limit, subject: str) -> str:
    """Count one try of the subject (an address, an e-mail, an id). Returns its slot. Raises
    `TooManyTries`."""
    slots = _slots(limit, subject)
    return _take(limit, slots, cache.get_many(slots))


def acquire_all(*pairs: tuple[Limit, str]) -> Slots:
    """Count one try within several limits: in all of them, or, if one is reached, in none. Returns
    the slots. Raises `TooManyTries`."""
    wanted = [(limit, _slots(limit, subject)) for limit, subject in pairs]
    taken = cache.get_many([slot for _limit, slots in wanted for slot in slots])
    waits = [_wait(slots) for _limit, slots in wanted if taken.keys() >= set(slots)]
    if waits:
        _count_refused(limit for limit, slots in wanted if taken.keys() >= set(slots))
        raise TooManyTries(max(waits))
    acquired: Slots = []
    try:
        for limit, slots in wanted:
            acquired.append(_take(limit, slots, taken))
    except TooManyTries:  # others were faster
        release(acquired)
        raise
    return acquired


def release(slots: Slots) -> None:
    """Free these slots: what they stand for counts no more."""
    cache.delete_many(slots)


def forget(limit: Limit, subject: str) -> None:
    """Free all slots of the subject."""
    cache.delete_many(_slots(limit, subject))


def _count_refused(limits: Iterable[Limit]) -> None:
    for limit in limits:
        LIMITED.labels(limit.name).inc()


def _take(limit: Limit, slots: Slots, taken: Container[str]) -> str:
    seconds = limit.per.total_seconds()
    ends_at = time() + seconds
    for slot in slots:
        if slot not in taken and cache.add(slot, ends_at, timeout=math.ceil(seconds)):
            return slot
    _count_refused([limit])
    raise TooManyTries(_wait(slots))


def _slots(limit: Limit, subject: str) -> Slots:
    """The cache keys of the slots. The subject is hashed: it may be long, and is private."""
    digest = hashlib.sha256(subject.encode("utf-8", "surrogatepass")).hexdigest()
    return [f"limit:{limit.name}:{digest}:{number}" for number in range(limit.times)]


def _wait(slots: Slots) -> int:
    """Seconds until the first slot is free."""
    ends: dict[str, float] = cache.get_many(slots)
    return max(1, math.ceil(min(ends.values(), default=0.0) - time()))
