"""Counters per minute: a count belongs to its minute, also when the clock or a request is late."""

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from unittest.mock import patch

import pytest
from django.core.cache import cache

from accounts.throttling import process_counters
from accounts.throttling.process_counters import CACHE_RETRY_SECONDS, EXCHANGE_SECONDS, Counter

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def test_each_minute_begins_at_zero() -> None:
    counter = Counter("test")
    counter.add("192.0.2.1", at=NOON)

    assert counter.add("192.0.2.1", at=NOON + MINUTE) == 1


def test_late_request_counts_in_its_own_minute_and_takes_nothing_from_the_next() -> None:
    counter = Counter("test")
    for _time in range(5):
        counter.add("192.0.2.1", at=NOON + MINUTE)

    assert counter.add("192.0.2.1", at=NOON) == 1
    assert counter.count("192.0.2.1", at=NOON + MINUTE) == 5


def test_clock_that_was_ahead_for_a_while_leaves_counting_and_eviction_as_they_were() -> None:
    counter = Counter("test")
    counter.add("192.0.2.1", at=NOON + timedelta(days=1))

    for minute in range(5):
        for _time in range(3):
            counter.add("192.0.2.1", at=NOON + minute * MINUTE)

    assert counter.count("192.0.2.1", at=NOON + 4 * MINUTE) == 3
    assert len(counter) == 2  # the present minute, and the one that has yet to come


def test_counts_of_earlier_minutes_are_evicted_however_late_requests_came() -> None:
    counter = Counter("test")
    for at in (NOON + MINUTE, NOON, NOON + MINUTE):
        counter.add("192.0.2.1", at=at)
    assert len(counter) == 2

    counter.add("192.0.2.1", at=NOON + 2 * MINUTE)

    assert len(counter) == 1


def test_full_counter_evicts_the_name_that_was_begun_first() -> None:
    counter = Counter("test", most=2)
    for name in ("first", "second"):
        counter.add(name, at=NOON + MINUTE)

    counter.add("late", at=NOON)

    assert [counter.count(name, at=NOON + MINUTE) for name in ("first", "second")] == [0, 1]


@pytest.fixture
def fresh() -> Iterator[None]:
    process_counters.forget()
    yield
    process_counters.forget()


@pytest.mark.usefixtures("fresh")
def test_slow_cache_is_left_alone_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process_counters, "SLOW_SECONDS", -1)  # whatever it takes is too long
    counter = Counter("test")

    def asked(*, after: float) -> bool:
        with patch.object(cache, "incr", return_value=9) as incr:
            assert counter.add("192.0.2.1", at=NOON + timedelta(seconds=after))
        return bool(incr.called)

    assert not asked(after=0)  # nothing is exchanged in the first second
    assert asked(after=EXCHANGE_SECONDS)
    assert counter.count("192.0.2.1", at=NOON + timedelta(seconds=EXCHANGE_SECONDS)) == 9
    assert not asked(after=2 * EXCHANGE_SECONDS)
    assert asked(after=EXCHANGE_SECONDS + CACHE_RETRY_SECONDS)


def test_threads_at_the_turn_of_a_minute_lose_no_count() -> None:
    counter = Counter("test")

    def count(_number: int) -> None:
        for step in range(200):
            counter.add("192.0.2.1", at=NOON + MINUTE * (step % 2))

    counter.add("192.0.2.1", at=NOON + MINUTE)
    threads = [threading.Thread(target=count, args=[number]) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert counter.count("192.0.2.1", at=NOON + MINUTE) == 401
