"""Collecting uses in memory, and storing them: when, how often, and what if it fails."""

import threading
from contextlib import closing
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from unittest.mock import patch

import pytest
from django.db import DataError, IntegrityError, OperationalError, connection
from django.test.utils import CaptureQueriesContext

from accounts.models import AuditEvent, Membership
from apitokens.models import APIToken, TokenUseDay
from apitokens.usage import buffer as usage_buffer
from apitokens.usage import flusher, store
from apitokens.usage.buffer import UsageBuffer
from apitokens.usage.flusher import UsageFlusher, record_use
from apitokens.usage.store import Use, store_usage
from tests.apitokens.usage.locks import row_locked
from tests.conftest import Issue, is_on_postgresql

pytestmark = [pytest.mark.both, pytest.mark.django_db]

NOON = datetime(2026, 5, 4, 12, tzinfo=UTC)
YESTERDAY = NOON - timedelta(days=1)
HOME, AWAY = "192.0.2.1", "192.0.2.2"


class Clock(SimpleNamespace):
    """A clock that stands until the test moves it."""

    now = 1000.0

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch, usage_flusher: UsageFlusher) -> Clock:
    """The flusher's clock; it has just stored everything."""
    clock = Clock()
    monkeypatch.setattr(flusher, "time", clock)
    usage_flusher._flushed_at = clock.now
    return clock


@pytest.fixture
def token(user: Membership, issue: Issue) -> APIToken:
    """A token that was used from one address a day before."""
    token = issue(user, at=NOON - timedelta(days=2)).token
    store_usage([Use(token.pk, HOME, YESTERDAY, YESTERDAY, 1)])
    return token


def recorded(token: APIToken, at: datetime = NOON, address: str | None = HOME) -> None:
    record_use(token_id=token.pk, at=at, address=address)


def last_used_at(token: APIToken) -> datetime | None:
    token.refresh_from_db()
    return token.last_used_at


def uses_today(token: APIToken) -> int:
    return sum(
        TokenUseDay.objects.filter(token=token, day=NOON.date()).values_list("count", flat=True)
    )


# --- The buffer --------------------------------------------------------------------------------


def test_uses_of_a_token_from_an_address_are_added_up() -> None:
    buffer = UsageBuffer()
    for second in (5, 1, 9):
        buffer.add(1, HOME, NOON + timedelta(seconds=second))
    buffer.add(1, AWAY, NOON)
    assert buffer.pop_all() == [
        Use(1, HOME, NOON + timedelta(seconds=5), NOON + timedelta(seconds=9), 3),
        Use(1, AWAY, NOON, NOON, 1),
    ]


def test_use_is_popped_once() -> None:
    buffer = UsageBuffer()
    buffer.add(1, HOME, NOON)
    assert buffer.pop_all()
    assert not buffer.pop_all()


def test_midnight_in_utc_begins_a_new_day() -> None:
    buffer = UsageBuffer()
    midnight = datetime(2026, 5, 5, tzinfo=UTC)
    before = midnight - timedelta(seconds=1)
    for at in (before, midnight, midnight):
        buffer.add(1, HOME, at)
    assert buffer.pop_all() == [
        Use(1, HOME, before, before, 1),
        Use(1, HOME, midnight, midnight, 2),
    ]


def test_buffer_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(usage_buffer, "MOST_BUFFERED", 10)
    buffer = UsageBuffer()
    for number in range(50):
        buffer.add(number, HOME, NOON)
    assert [each.token_id for each in buffer.pop_all()] == list(range(10))


def test_refusals_are_counted_apart_by_day() -> None:
    buffer = UsageBuffer()
    midnight = datetime(2026, 5, 5, tzinfo=UTC)
    before = midnight - timedelta(seconds=1)
    for at in (before, midnight, midnight):
        buffer.add_refused(1, at)
    buffer.add(1, None, midnight)
    assert buffer.pop_all() == [
        Use(1, None, before, before, 0, refused=1),
        Use(1, None, midnight, midnight, 1),
        Use(1, None, midnight, midnight, 0, refused=2),
    ]
    assert not buffer.pop_all()


def test_refusals_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(usage_buffer, "MOST_REFUSED", 10)
    buffer = UsageBuffer()
    for number in range(50):
        buffer.add_refused(number, NOON)
    assert [each.token_id for each in buffer.pop_all()] == list(range(10))


def test_uses_that_are_put_back_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(usage_buffer, "MOST_BUFFERED", 10)
    buffer = UsageBuffer()
    for _time in range(3):
        buffer.put_back(Use(number, HOME, NOON, NOON, 1) for number in range(50))
    assert buffer.pop_all() == [Use(number, HOME, NOON, NOON, 3) for number in range(10)]


def test_known_addresses_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(usage_buffer, "MOST_KNOWN", 10)
    buffer = UsageBuffer()
    for number in range(50):
        buffer.add(number, HOME, NOON)
    assert len(buffer._known) <= 10


def test_threads_lose_no_use_to_each_other_or_to_a_flush() -> None:
    buffer, taken = UsageBuffer(), []

    def use_often() -> None:
        for _time in range(5_000):
            buffer.add(1, HOME, NOON)

    threads = [threading.Thread(target=use_often) for _each in range(4)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        taken += buffer.pop_all()
    taken += buffer.pop_all()
    assert sum(each.times for each in taken) == 20_000


# --- Flushing ----------------------------------------------------------------------------------


def test_recording_a_use_costs_no_query(token: APIToken) -> None:
    with CaptureQueriesContext(connection) as queries:
        recorded(token)
    assert not queries.captured_queries


def test_uses_are_stored_every_ten_seconds_by_one_update(
    token: APIToken, usage_flusher: UsageFlusher, clock: Clock
) -> None:
    for second in range(10):
        recorded(token, NOON + timedelta(seconds=second))
        clock.now += 1
        with CaptureQueriesContext(connection) as queries:
            usage_flusher.flush()
        updates = [each for each in queries.captured_queries if each["sql"].startswith("UPDATE")]
        assert len(updates) == (1 if second == 9 else 0)
    assert (last_used_at(token), uses_today(token)) == (NOON + timedelta(seconds=9), 10)


def test_nothing_used_costs_no_query(usage_flusher: UsageFlusher, clock: Clock) -> None:
    clock.now += 10
    with CaptureQueriesContext(connection) as queries:
        usage_flusher.flush()
    assert not queries.captured_queries


def test_buffer_that_fills_is_flushed_before_its_time(
    token: APIToken, usage_flusher: UsageFlusher, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(usage_buffer, "MOST_BUFFERED", 2)
    recorded(token)
    recorded(token, address=None)
    usage_flusher.flush()
    assert last_used_at(token) == NOON


def test_process_that_ends_stores_everything(
    token: APIToken, usage_flusher: UsageFlusher, clock: Clock
) -> None:
    recorded(token)
    usage_flusher.end()
    assert (last_used_at(token), uses_today(token)) == (NOON, 1)


def test_first_use_ever_is_stored_before_the_answer(user: Membership, issue: Issue) -> None:
    token = issue(user).token
    record_use(token_id=token.pk, at=NOON, address=HOME, is_first=True)
    assert (last_used_at(token), uses_today(token)) == (NOON, 1)


def test_first_use_is_first_once(
    user: Membership, issue: Issue, usage_flusher: UsageFlusher
) -> None:
    """What was read of the token before its first use may be believed for a moment longer."""
    token = issue(user).token
    for second in range(3):
        at = NOON + timedelta(seconds=second)
        record_use(token_id=token.pk, at=at, address=HOME, is_first=True)
    assert last_used_at(token) == NOON
    usage_flusher.end()
    assert uses_today(token) == 3


def test_unseen_address_is_reported_within_a_second(
    token: APIToken, usage_flusher: UsageFlusher, clock: Clock
) -> None:
    recorded(token, address=AWAY)
    clock.now += 1
    usage_flusher.flush()
    assert AuditEvent.objects.filter(
        kind="token.used_from_new_address", address=AWAY, subject_id=token.pk
    ).exists()


def test_known_address_waits_for_the_flush(
    token: APIToken, usage_flusher: UsageFlusher, clock: Clock
) -> None:
    recorded(token)
    clock.now += 1
    usage_flusher.flush()
    assert last_used_at(token) == YESTERDAY


def test_address_is_looked_up_once_by_a_process(
    token: APIToken, usage_flusher: UsageFlusher, clock: Clock
) -> None:
    recorded(token)
    usage_flusher.flush()
    recorded(token)
    with CaptureQueriesContext(connection) as queries:
        usage_flusher.flush()
    assert not queries.captured_queries


# --- When it fails -----------------------------------------------------------------------------


def test_uses_wait_while_the_database_does_not_answer(
    token: APIToken, usage_flusher: UsageFlusher, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    recorded(token)
    clock.now += 10
    with patch.object(flusher, "store_usage", side_effect=OperationalError("gone")):
        usage_flusher.flush()
    assert "Uses of API tokens wait" in caplog.text
    recorded(token, NOON + timedelta(seconds=1))
    clock.now += 1
    usage_flusher.flush()
    assert (last_used_at(token), uses_today(token)) == (NOON + timedelta(seconds=1), 2)


def test_unseen_address_is_looked_up_again_when_the_database_is_back(
    token: APIToken, usage_flusher: UsageFlusher, clock: Clock
) -> None:
    recorded(token, address=AWAY)
    with patch.object(flusher, "unknown_sources", side_effect=OperationalError("gone")):
        usage_flusher.flush()
    usage_flusher.flush()
    assert AuditEvent.objects.filter(address=AWAY).exists()


def test_first_use_that_cannot_be_stored_waits(
    user: Membership, issue: Issue, usage_flusher: UsageFlusher, caplog: pytest.LogCaptureFixture
) -> None:
    token = issue(user).token
    with patch.object(flusher, "store_usage", side_effect=OperationalError("gone")):
        record_use(token_id=token.pk, at=NOON, address=HOME, is_first=True)
    assert f"The use of API token {token.pk}" in caplog.text
    usage_flusher.end()
    assert (last_used_at(token), uses_today(token)) == (NOON, 1)


@pytest.fixture
def used(user: Membership, issue: Issue, monkeypatch: pytest.MonkeyPatch) -> list[APIToken]:
    """Three tokens that were used once, in the order of their ids. Each is stored by itself."""
    monkeypatch.setattr(store, "TOKENS_AT_ONCE", 1)
    tokens = sorted((issue(user).token for _each in range(3)), key=lambda token: token.pk)
    for token in tokens:
        recorded(token, address=None)
    return tokens


def test_part_that_fails_does_not_count_the_others_twice(
    used: list[APIToken], usage_flusher: UsageFlusher, clock: Clock
) -> None:
    clock.now += 10
    with patch.object(flusher, "store_usage", side_effect=[None, OperationalError("gone")]):
        usage_flusher.flush()
    kept = usage_flusher.buffer.pop_all()
    assert [each.token_id for each in kept] == [token.pk for token in used[1:]]


def test_last_flush_goes_on_with_other_parts_and_tries_again(
    used: list[APIToken], usage_flusher: UsageFlusher, caplog: pytest.LogCaptureFixture
) -> None:
    tried: list[int] = []

    def fail_twice_with_the_first(uses: list[Use]) -> None:
        tried.append(uses[0].token_id)
        if tried.count(used[0].pk) <= 2 and tried[-1] == used[0].pk:
            raise OperationalError("lock timeout")
        store_usage(uses)

    with patch.object(flusher, "store_usage", fail_twice_with_the_first):
        usage_flusher.end()
    first, second, third = (token.pk for token in used)
    assert tried == [first, second, third, first, first]
    assert [uses_today(token) for token in used] == [1, 1, 1]
    assert "lost" not in caplog.text


def test_last_flush_gives_up_in_time_and_says_how_many_uses_are_lost(
    used: list[APIToken],
    usage_flusher: UsageFlusher,
    clock: Clock,
    caplog: pytest.LogCaptureFixture,
) -> None:
    recorded(used[1], address=None)
    began = clock.now

    def refuse_all_but_the_first(uses: list[Use]) -> None:
        clock.now += 0.5
        if uses[0].token_id != used[0].pk:
            raise OperationalError("lock timeout")
        store_usage(uses)

    with patch.object(flusher, "store_usage", refuse_all_but_the_first):
        usage_flusher.end()
    assert "3 uses of API tokens are lost: the database said: lock timeout" in caplog.text
    assert flusher.LAST_FLUSH_SECONDS <= clock.now - began < flusher.ENDS_WITHIN
    assert not usage_flusher.buffer.pop_all()


@pytest.mark.django_db(transaction=True)
def test_last_flush_outlasts_a_lock_of_a_second(
    token: APIToken, usage_flusher: UsageFlusher
) -> None:
    recorded(token)
    with row_locked(token, seconds=1):
        usage_flusher.end()
    assert (last_used_at(token), uses_today(token)) == (NOON, 1)


@pytest.mark.django_db(transaction=True)
def test_last_flush_outlasts_a_connection_that_the_database_ends(
    token: APIToken, usage_flusher: UsageFlusher
) -> None:
    if not is_on_postgresql():
        pytest.skip("SQLite has no server that could end connections")
    recorded(token)
    with connection.cursor() as cursor, closing(connection.copy()) as other:
        cursor.execute("SELECT pg_backend_pid()")
        other.cursor().execute("SELECT pg_terminate_backend(%s)", cursor.fetchone())
    usage_flusher.end()
    assert (last_used_at(token), uses_today(token)) == (NOON, 1)


@pytest.mark.parametrize("error", [DataError, IntegrityError])
def test_use_that_the_database_refuses_does_not_hold_up_the_others(
    user: Membership,
    issue: Issue,
    usage_flusher: UsageFlusher,
    caplog: pytest.LogCaptureFixture,
    error: type[Exception],
) -> None:
    tokens = [issue(user).token for _each in range(3)]
    for token in tokens:
        recorded(token, address=None)

    def refuse_the_second(uses: list[Use], **how: bool) -> None:
        if tokens[1].pk in {use.token_id for use in uses}:
            raise error("out of range")
        store_usage(uses, **how)

    with patch.object(flusher, "store_usage", refuse_the_second):
        usage_flusher.end()
    assert [uses_today(token) for token in tokens] == [1, 0, 1]
    assert f"Uses of API token {tokens[1].pk} are dropped." in caplog.text
    assert not usage_flusher.buffer.pop_all()


@pytest.mark.parametrize("place", ["audit.record", "notify_new_addresses"])
def test_report_that_the_database_refuses_does_not_lose_the_uses(
    user: Membership,
    issue: Issue,
    usage_flusher: UsageFlusher,
    caplog: pytest.LogCaptureFixture,
    place: str,
) -> None:
    tokens = [issue(user).token for _each in range(2)]
    for token in tokens:
        recorded(token, address=AWAY)
        recorded(token)
    with patch(f"apitokens.usage.store.{place}", side_effect=IntegrityError("no such account")):
        usage_flusher.end()
    for token in tokens:
        assert (last_used_at(token), uses_today(token)) == (NOON, 2)
        assert f"New addresses of API token {token.pk} are not reported." in caplog.text
    assert "no such account" in caplog.text
    assert not AuditEvent.objects.filter(kind="token.used_from_new_address").exists()


def test_uses_wait_if_the_row_is_locked_when_they_are_stored_without_the_report(
    token: APIToken, usage_flusher: UsageFlusher, clock: Clock
) -> None:
    recorded(token)
    clock.now += 10
    faults = [IntegrityError("no such account"), OperationalError("lock timeout")]
    with patch.object(flusher, "store_usage", side_effect=faults):
        usage_flusher.flush()
    usage_flusher.end()
    assert uses_today(token) == 1
