"""Uses on their way through Redis: of all processes, written by one, and never twice."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from unittest.mock import patch

import pytest
from django.db import DatabaseError
from pytest_django import Settings
from redis import Redis

from accounts.models import Membership
from apitokens import tasks
from apitokens.models import APIToken, TokenUseDay
from apitokens.usage import redis_relay
from apitokens.usage.buffer import UsageBuffer
from apitokens.usage.flusher import UsageFlusher
from apitokens.usage.store import Use, store_usage
from tests import services
from tests.conftest import Issue

pytestmark = [pytest.mark.both, pytest.mark.django_db]

NOON = datetime(2026, 5, 4, 12, tzinfo=UTC)
YESTERDAY = NOON - timedelta(days=1)
HOME = "192.0.2.1"


@pytest.fixture(autouse=True)
def redis(redis_url: str, settings: Settings) -> Iterator[Redis]:
    """A Redis of the test's own, which the portal uses."""
    settings.REDIS_URL = redis_url
    with Redis.from_url(redis_url, decode_responses=True) as client:
        yield client


@pytest.fixture
def token(user: Membership, issue: Issue) -> APIToken:
    """A token that was used from one address a day before."""
    token = issue(user, at=NOON - timedelta(days=2)).token
    store_usage([Use(token.pk, HOME, YESTERDAY, YESTERDAY, 1)])
    return token


@pytest.fixture
def processes() -> list[UsageFlusher]:
    """The scribes of three processes."""
    return [UsageFlusher(UsageBuffer()) for _each in range(3)]


def use(token: APIToken, second: int = 0, times: int = 1) -> Use:
    at = NOON + timedelta(seconds=second)
    return Use(token.pk, HOME, at, at, times)


def known(token: APIToken) -> tuple[datetime | None, int]:
    """The last use, and how many there were on that day."""
    token.refresh_from_db()
    days = TokenUseDay.objects.filter(token=token, day=NOON.date())
    return token.last_used_at, sum(days.values_list("count", flat=True))


def is_empty(redis: Redis) -> bool:
    return set(redis.keys("permatoken:uses*")) <= {redis_relay.TURN}


def test_uses_of_all_processes_are_written_by_one(
    token: APIToken, processes: list[UsageFlusher], redis: Redis
) -> None:
    redis.set(redis_relay.TURN, 1)
    for second, process in enumerate(processes):
        process.notebook.note(token.pk, HOME, NOON + timedelta(seconds=second))
        process.flush()
    assert known(token) == (YESTERDAY, 0)
    redis.delete(redis_relay.TURN)
    processes[0].flush()
    assert known(token) == (NOON + timedelta(seconds=2), 3)
    assert is_empty(redis)


def test_they_are_written_once_a_minute_however_many_processes_there_are(
    token: APIToken, processes: list[UsageFlusher], redis: Redis
) -> None:
    with patch.object(redis_relay, "write_down", wraps=store_usage) as written:
        for second in range(5):
            for process in processes:
                process.notebook.note(token.pk, HOME, NOON + timedelta(seconds=second))
                process.flush()
    assert written.call_count == 1
    assert 50 < redis.ttl(redis_relay.TURN) <= 60


def test_process_that_ends_leaves_nothing_behind(
    token: APIToken, processes: list[UsageFlusher], redis: Redis
) -> None:
    redis.set(redis_relay.TURN, 1)
    processes[0].notebook.note(token.pk, HOME, NOON)
    processes[0].end()
    assert known(token) == (NOON, 1)
    assert is_empty(redis)


def test_beat_writes_what_processes_left_that_are_gone(token: APIToken, redis: Redis) -> None:
    redis_relay.leave("one", [use(token)])
    tasks.write_down_uses()
    assert known(token) == (NOON, 1)


def test_beat_running_twice_is_dull(token: APIToken, redis: Redis) -> None:
    redis_relay.leave("one", [use(token)])
    for _time in range(2):
        redis.delete(redis_relay.TURN)
        tasks.write_down_uses()
    assert known(token) == (NOON, 1)


def test_batch_that_was_left_twice_is_counted_once(token: APIToken) -> None:
    """The answer of Redis was lost, and the batch left again."""
    for name in ("one", "one", "two"):
        redis_relay.leave(name, [use(token)])
    redis_relay.write_down_all()
    assert known(token) == (NOON, 2)


def test_writer_killed_before_it_wrote_loses_nothing(token: APIToken, redis: Redis) -> None:
    redis_relay.leave("one", [use(token)])
    killed = patch.object(redis_relay, "write_down", side_effect=KeyboardInterrupt)
    with killed, pytest.raises(KeyboardInterrupt):
        redis_relay.write_down_all(is_our_turn=True)
    redis_relay.leave("two", [use(token, second=1)])
    redis_relay.write_down_all(is_our_turn=True)
    assert known(token) == (NOON + timedelta(seconds=1), 2)
    assert is_empty(redis)


def test_writer_killed_after_it_wrote_makes_nobody_count_twice(
    token: APIToken, redis: Redis
) -> None:
    redis_relay.leave("one", [use(token)])

    def write_and_die(*args: object, **options: object) -> None:
        store_usage(*args, **options)  # type: ignore[arg-type]  # whatever it was called with
        raise KeyboardInterrupt

    with patch.object(redis_relay, "write_down", write_and_die), pytest.raises(KeyboardInterrupt):
        redis_relay.write_down_all(is_our_turn=True)
    redis_relay.write_down_all(is_our_turn=True)
    assert known(token) == (NOON, 1)
    assert is_empty(redis)


def test_database_that_does_not_answer_keeps_them_in_redis(token: APIToken, redis: Redis) -> None:
    redis_relay.leave("one", [use(token)])
    gone = patch.object(redis_relay, "write_down", side_effect=DatabaseError("gone"))
    with gone, pytest.raises(DatabaseError):
        redis_relay.write_down_all(is_our_turn=True)
    redis_relay.write_down_all(is_our_turn=True)
    assert known(token) == (NOON, 1)


def test_what_waits_in_redis_is_bounded(
    token: APIToken, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redis_relay, "MOST_BATCHES", 3)
    taken = [redis_relay.leave(str(number), [use(token)]) for number in range(5)]
    assert taken == [True, True, True, False, False]


def test_tokens_travel_as_their_numbers(token: APIToken, redis: Redis) -> None:
    redis_relay.leave("one", [use(token)])
    (line,) = redis.lrange(redis_relay.LEFT, 0, -1)
    moment = NOON.isoformat()
    assert json.loads(line) == {"name": "one", "uses": [[token.pk, HOME, moment, moment, 1]]}


# --- Without Redis -----------------------------------------------------------------------------


@pytest.fixture
def no_redis(settings: Settings) -> None:
    """Redis is to be used, but nobody answers."""
    settings.REDIS_URL = f"redis://127.0.0.1:{services.free_port()}/0"


@pytest.mark.usefixtures("no_redis")
def test_without_redis_each_process_writes_once_a_minute(
    token: APIToken, scribe: UsageFlusher, caplog: pytest.LogCaptureFixture
) -> None:
    scribe.notebook.note(token.pk, HOME, NOON)
    scribe.flush()
    assert known(token) == (YESTERDAY, 0)
    scribe._handed_over -= 60
    scribe.flush()
    assert known(token) == (NOON, 1)
    assert "Uses of API tokens stay here" in caplog.text


@pytest.mark.usefixtures("no_redis")
def test_process_that_ends_without_redis_writes_itself(
    token: APIToken, scribe: UsageFlusher
) -> None:
    scribe.notebook.note(token.pk, HOME, NOON)
    scribe.end()
    assert known(token) == (NOON, 1)


def test_redis_that_comes_back_gets_what_waited(
    token: APIToken, scribe: UsageFlusher, settings: Settings, redis_url: str
) -> None:
    settings.REDIS_URL = f"redis://127.0.0.1:{services.free_port()}/0"
    scribe.notebook.note(token.pk, HOME, NOON)
    scribe.flush()
    settings.REDIS_URL = redis_url
    scribe.notebook.note(token.pk, HOME, NOON + timedelta(seconds=1))
    scribe.end()
    assert known(token) == (NOON + timedelta(seconds=1), 2)
