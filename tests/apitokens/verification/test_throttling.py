"""How often an address may be refused and a token be used: by one process, and by all together."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any
from unittest.mock import patch

import pytest
from django.core.cache import cache
from pytest_django import Settings

from accounts.throttling import process_counters
from accounts.throttling.process_counters import Counter, TooMany
from apitokens import keys
from apitokens.verification import throttling

NOON = datetime(2026, 5, 4, 12, 0, tzinfo=UTC)
ADDRESS = "192.0.2.7"
KEY = keys.make(771_142_358)


@pytest.fixture(autouse=True)
def fresh_limits(settings: Settings) -> Iterator[None]:
    settings.REFUSAL_RATE = settings.TOKEN_RATE = 3
    throttling.forget()
    yield
    throttling.forget()


def after(seconds: float) -> datetime:
    return NOON + timedelta(seconds=seconds)


def be_refused(times: int, *, address: str | None = ADDRESS, at: datetime = NOON) -> None:
    for _time in range(times):
        process_counters.count_refusal(address, at=at)


def let_through(act: Callable[[], None], times: int = 4) -> list[bool]:
    """Try so often; whether each try was let through."""
    answers = []
    for _time in range(times):
        try:
            act()
        except TooMany:
            answers.append(False)
        else:
            answers.append(True)
    return answers


def a_refusal(address: str | None = ADDRESS, at: datetime = NOON) -> Callable[[], None]:
    return lambda: process_counters.count_refusal(address, at=at)


def a_look(address: str | None = ADDRESS) -> Callable[[], None]:
    return lambda: throttling.refuse_busy_address(KEY, address=address, at=NOON)


def a_use() -> None:
    throttling.count_use(KEY.id, at=NOON)


THREE_OF_FOUR = [True, True, True, False]


def test_address_may_be_refused_as_often_as_the_rate_says() -> None:
    assert let_through(a_refusal()) == THREE_OF_FOUR


def test_address_is_told_to_wait_above_the_rate() -> None:
    be_refused(3)

    with pytest.raises(TooMany):
        be_refused(1)


def test_work_is_refused_before_it_is_done_for_a_busy_address() -> None:
    be_refused(3)

    with pytest.raises(TooMany):
        throttling.refuse_busy_address(KEY, address=ADDRESS, at=NOON)


def test_work_is_done_for_an_address_below_the_rate() -> None:
    be_refused(2)

    assert let_through(a_look(), times=1) == [True]
    be_refused(1)
    assert let_through(a_look(), times=1) == [False]


def test_other_addresses_are_not_concerned() -> None:
    be_refused(3)

    assert let_through(a_look("192.0.2.8"), times=1) == [True]
    assert let_through(a_refusal("192.0.2.8")) == THREE_OF_FOUR


def test_next_minute_begins_anew() -> None:
    be_refused(3, at=after(59.9))

    assert let_through(a_refusal(at=after(60))) == THREE_OF_FOUR


@pytest.mark.parametrize(("seconds", "wait"), [(0, 60), (0.5, 60), (30, 30), (59.9, 1)])
def test_wait_lasts_to_the_end_of_the_minute(seconds: float, wait: int) -> None:
    be_refused(3, at=after(seconds))

    with pytest.raises(TooMany) as too_many:
        be_refused(1, at=after(seconds))

    assert too_many.value.retry_after == wait


def test_neighbours_in_an_ipv6_network_count_as_one() -> None:
    be_refused(3, address="2001:db8::1")

    with pytest.raises(TooMany):
        be_refused(1, address="2001:db8::ffff:2")


def test_another_ipv6_network_is_not_concerned() -> None:
    be_refused(3, address="2001:db8::1")

    assert let_through(a_refusal("2001:db8:0:1::1")) == THREE_OF_FOUR


def test_unknown_clients_are_limited_together() -> None:
    be_refused(3, address=None)

    assert let_through(a_refusal(None), times=1) == [False]
    assert let_through(a_look(None), times=1) == [False]
    assert let_through(a_look(), times=1) == [True]


def test_who_was_found_good_is_let_through_from_a_busy_address() -> None:
    throttling.mark_recently_valid(KEY, at=NOON)
    be_refused(3)

    assert let_through(a_look(), times=1) == [True]


def test_another_secret_of_the_same_token_is_not_let_through() -> None:
    throttling.mark_recently_valid(KEY, at=NOON)
    be_refused(3)

    with pytest.raises(TooMany):
        throttling.refuse_busy_address(keys.make(KEY.id), address=ADDRESS, at=NOON)


def test_who_is_good_no_longer_is_not_let_through() -> None:
    throttling.mark_recently_valid(KEY, at=NOON)
    throttling.forget_recently_valid(KEY)
    be_refused(3)

    with pytest.raises(TooMany):
        throttling.refuse_busy_address(KEY, address=ADDRESS, at=NOON)


def test_who_was_found_good_long_ago_is_not_let_through() -> None:
    throttling.mark_recently_valid(KEY, at=NOON - timedelta(hours=1))
    be_refused(3)

    with pytest.raises(TooMany):
        throttling.refuse_busy_address(KEY, address=ADDRESS, at=NOON)


def test_number_of_recently_valid_tokens_is_bounded() -> None:
    with patch.object(throttling, "MOST_RECENTLY_VALID", 2):
        for token_id in (101, 102, 103):
            throttling.mark_recently_valid(keys.Key(token_id, "0" * 64), at=NOON)

    assert not throttling.is_recently_valid(keys.Key(101, "0" * 64), at=NOON)
    assert throttling.is_recently_valid(keys.Key(103, "0" * 64), at=NOON)


class Shared(dict[Any, Any]):
    """A dictionary to which another thread adds something at the worst moment, once."""

    is_quiet = False

    def __iter__(self) -> Iterator[Any]:
        keys = super().__iter__()
        if not self.is_quiet:
            self.is_quiet = True
            self[0, "from another thread"] = NOON
        return keys


def test_threads_may_mark_and_count_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(throttling, "_recently_valid", Shared())
    monkeypatch.setattr(throttling, "MOST_RECENTLY_VALID", 1)
    counter = Counter("test", most=1)
    counter.add("client", at=NOON)
    counter._counts = Shared(counter._counts)

    for number in (101, 102):
        throttling.mark_recently_valid(keys.Key(number, "0" * 64), at=NOON)
        counter.add(str(number), at=NOON)

    assert (len(throttling._recently_valid), len(counter)) == (1, 1)


def test_token_may_be_used_as_often_as_the_rate_says() -> None:
    assert let_through(a_use) == THREE_OF_FOUR


def test_token_is_told_to_wait_above_the_rate() -> None:
    for _time in range(3):
        throttling.count_use(KEY.id, at=NOON)

    with pytest.raises(TooMany):
        throttling.count_use(KEY.id, at=NOON)


def test_zero_is_no_limit(settings: Settings) -> None:
    settings.REFUSAL_RATE = settings.TOKEN_RATE = 0

    assert all(let_through(a_refusal(), times=1_000))
    assert let_through(a_look(), times=1) == [True]
    assert all(let_through(a_use, times=1_000))


def test_memory_is_bounded() -> None:
    counter = Counter("test", most=10)

    for number in range(100):
        counter.add(str(number), at=NOON)

    assert len(counter) == 10


def test_nothing_of_the_last_minute_stays_in_memory() -> None:
    counter = Counter("test")
    counter.add("client", at=NOON)

    counter.add("client else", at=after(60))

    assert len(counter) == 1


def test_nobody_is_asked_within_the_first_second() -> None:
    counter = Counter("test")

    with patch.object(process_counters, "cache", None):
        for _time in range(100):
            counter.add("client", at=after(0.9))

    assert counter.count("client", at=after(0.9)) == 100


def test_processes_count_together_after_a_second() -> None:
    here, there = Counter("test"), Counter("test")
    for counter in (here, there):
        for _time in range(5):
            counter.add("client", at=NOON)

    here.add("client", at=after(1))

    assert there.add("client", at=after(1)) == 12


def test_who_is_only_asked_learns_what_others_counted() -> None:
    here, there = Counter("test"), Counter("test")
    for counter in (here, there):
        counter.add("client", at=NOON)
    here.add("client", at=after(1))

    assert there.count("client", at=after(1)) == 3


def test_what_is_told_is_told_once() -> None:
    here, there = Counter("test"), Counter("test")
    for counter in (here, there):
        counter.add("client", at=NOON)

    for seconds in range(1, 5):
        here.count("client", at=after(seconds))

    assert there.count("client", at=after(5)) == 2


def test_refusals_and_uses_are_counted_apart() -> None:
    here, there = Counter("refusals"), Counter("uses")
    for counter in (here, there):
        counter.add("7", at=NOON)

    here.add("7", at=after(1))

    assert there.count("7", at=after(1)) == 1


def test_process_limits_alone_while_the_cache_does_not_answer() -> None:
    be_refused(2)

    with patch.object(cache, "add", side_effect=OSError("down")):
        be_refused(1, at=after(1))
        with pytest.raises(TooMany):
            be_refused(1, at=after(2))


def test_what_was_not_told_is_told_later() -> None:
    here, there = Counter("test"), Counter("test")
    here.add("client", at=NOON)
    there.add("client", at=NOON)
    with patch.object(cache, "add", side_effect=OSError("down")):
        here.add("client", at=after(1))

    here.add("client", at=after(12))

    assert there.count("client", at=after(12)) == 4


def test_cache_that_does_not_answer_is_left_alone_for_a_while() -> None:
    counter = Counter("test")
    counter.add("client", at=NOON)

    with patch.object(cache, "add", side_effect=OSError("down")) as asked:
        for seconds in range(1, 10):
            counter.add("client", at=after(seconds))

    assert asked.call_count == 1
