"""Limits on how often somebody may try something, shared by all processes.

A limit of 5 a minute is five places. A try takes a free one and keeps it for a minute; whoever
finds none is told how long to wait. So there are never more than five tries within any minute, a
limit costs the cache five short entries for each subject, and taking a place is one `add`, which
the cache promises to grant to one process only.
"""

import hashlib
import math
from dataclasses import dataclass
from datetime import timedelta
from time import time

from django.core.cache import cache


@dataclass(frozen=True, slots=True)
class Limit:
    """At most `times` tries `per` so much time, by whoever the subject is."""

    name: str
    times: int
    per: timedelta


class TooManyTries(Exception):
    """The limit is reached; `retry_after` says in how many seconds a place is free, at least 1."""

    def __init__(self, retry_after: int) -> None:
        super().__init__(f"Too many tries. The next is welcome in {retry_after} seconds.")
        self.retry_after = retry_after


def acquire(limit: Limit, subject: str) -> None:
    """Count one try of the subject (an address, an e-mail, an id). Raises `TooManyTries`."""
    places = _slots(limit, subject)
    seconds = limit.per.total_seconds()
    taken = cache.get_many(places)
    ends_at = time() + seconds
    for place in places:
        if place not in taken and cache.add(place, ends_at, timeout=math.ceil(seconds)):
            return
    raise TooManyTries(_wait(places))


def forget(limit: Limit, subject: str) -> None:
    """Let the subject begin anew."""
    cache.delete_many(_slots(limit, subject))


def _slots(limit: Limit, subject: str) -> list[str]:
    """The keys of the places. The subject may be long or odd, and is nobody's business."""
    digest = hashlib.sha256(subject.encode("utf-8", "surrogatepass")).hexdigest()
    return [f"limit:{limit.name}:{digest}:{number}" for number in range(limit.times)]


def _wait(places: list[str]) -> int:
    """Seconds until the first place is free."""
    ends: dict[str, float] = cache.get_many(places)
    return max(1, math.ceil(min(ends.values(), default=0.0) - time()))
