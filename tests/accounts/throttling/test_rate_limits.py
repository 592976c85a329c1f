"""Limits on tries: exact, for all processes together, on files and on Redis."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from multiprocessing.synchronize import Barrier
from typing import Any
from unittest.mock import DEFAULT, patch

import pytest
from django.conf import settings
from django.core.cache import cache, caches
from django.test import override_settings
from pytest_django import Settings
from time_machine import TimeMachineFixture

from accounts.throttling import rate_limits
from accounts.throttling.rate_limits import Limit, TooManyTries, acquire, acquire_all, forget
from tests.forking import at_once, in_new_process

FIVE = Limit("tests", 5, timedelta(minutes=1))
ONE = Limit("tests-one", 1, timedelta(minutes=1))
NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
PROCESSES = 16


@pytest.fixture(params=["files", "redis"])
def anywhere(request: pytest.FixtureRequest, settings: Settings) -> Iterator[None]:
    """On the cache of either shape."""
    if request.param == "redis":
        url = request.getfixturevalue("redis_url")
        settings.CACHES = {
            "default": {
                "BACKEND": "django.core.cache.backends.redis.RedisCache",
                "LOCATION": url,
            }
        }
    yield
    caches.close_all()


def is_let(subject: str = "192.0.2.1", limit: Limit = FIVE) -> bool:
    try:
        acquire(limit, subject)
    except TooManyTries:
        return False
    return True


def try_once(barrier: Barrier) -> bool:
    barrier.wait(30)
    return is_let()


def try_in_many(caches: dict[str, Any]) -> list[bool]:
    with override_settings(CACHES=caches):
        return at_once(try_once, PROCESSES)


@pytest.mark.usefixtures("anywhere")
def test_five_are_let_and_the_sixth_is_not() -> None:
    assert [is_let() for _try in range(6)] == [True] * 5 + [False]


@pytest.mark.usefixtures("anywhere")
def test_five_are_let_of_many_processes_that_try_at_once() -> None:
    assert sum(in_new_process(try_in_many, settings.CACHES)) == 5


@pytest.mark.parametrize("is_beaten", [False, True])
@pytest.mark.usefixtures("anywhere")
def test_try_that_one_of_several_limits_refuses_is_counted_in_none(is_beaten: bool) -> None:
    acquire(ONE, "subject")
    with patch.object(rate_limits, "cache", wraps=cache) as read_before:
        if is_beaten:  # the last place was taken after it had looked
            read_before.get_many.side_effect = [{}, DEFAULT]
        with pytest.raises(TooManyTries):
            acquire_all((FIVE, "192.0.2.1"), (ONE, "subject"))

    assert [is_let() for _try in range(5)] == [True] * 5


@pytest.mark.usefixtures("anywhere")
def test_others_are_let() -> None:
    for _try in range(5):
        acquire(FIVE, "192.0.2.1")
    assert is_let("192.0.2.2")
    assert is_let(limit=Limit("others", 5, timedelta(minutes=1)))


@pytest.mark.usefixtures("anywhere")
def test_forgetting_begins_anew() -> None:
    for _try in range(5):
        acquire(FIVE, "192.0.2.1")
    forget(FIVE, "192.0.2.1")
    assert is_let()


def test_place_is_free_again_a_minute_after_it_was_taken(time_machine: TimeMachineFixture) -> None:
    time_machine.move_to(NOON, tick=False)
    acquire(FIVE, "192.0.2.1")
    time_machine.move_to(NOON + timedelta(seconds=30), tick=False)
    assert [is_let() for _try in range(5)] == [True] * 4 + [False]
    time_machine.move_to(NOON + timedelta(seconds=61), tick=False)
    assert [is_let() for _try in range(2)] == [True, False]


def test_never_more_than_five_in_any_minute(time_machine: TimeMachineFixture) -> None:
    let_at: list[int] = []
    for second in range(0, 300, 3):
        time_machine.move_to(NOON + timedelta(seconds=second), tick=False)
        if is_let():
            let_at.append(second)
    for first in let_at:
        assert len([second for second in let_at if first <= second < first + 60]) <= 5


def test_refusal_tells_how_long_to_wait(time_machine: TimeMachineFixture) -> None:
    time_machine.move_to(NOON, tick=False)
    for _try in range(5):
        acquire(FIVE, "192.0.2.1")
    time_machine.move_to(NOON + timedelta(seconds=40), tick=False)
    with pytest.raises(TooManyTries) as refusal:
        acquire(FIVE, "192.0.2.1")
    assert refusal.value.retry_after == 20


def test_refused_tries_prolong_nothing(time_machine: TimeMachineFixture) -> None:
    for second in range(0, 61, 2):
        time_machine.move_to(NOON + timedelta(seconds=second), tick=False)
        is_let()
    time_machine.move_to(NOON + timedelta(seconds=62), tick=False)
    assert is_let()


@pytest.mark.parametrize("subject", ["", "a b", "x" * 10_000, "\0", "\ud800", "ключ:*?[", "\r\n"])
def test_any_text_is_a_subject(subject: str) -> None:
    assert [is_let(subject) for _try in range(6)] == [True] * 5 + [False]


def test_cache_keeps_five_entries_however_many_try() -> None:
    for _try in range(50):
        is_let()
    with closing(sqlite3.connect(settings.CACHES["default"]["LOCATION"])) as file:
        assert file.execute("SELECT count(*) FROM entry").fetchone() == (5,)
