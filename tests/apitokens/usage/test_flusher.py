"""Collecting uses in memory, and handing them over: when, how often, and what if it fails."""

import threading
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from unittest.mock import patch

import pytest
from django.db import DatabaseError, connection
from django.test.utils import CaptureQueriesContext
from pytest_django import Settings

from accounts.models import AuditEvent, Membership
from apitokens.models import APIToken, TokenUseDay
from apitokens.usage import flusher, store
from apitokens.usage.buffer import UsageBuffer
from apitokens.usage.flusher import UsageFlusher, record_use
from apitokens.usage.store import Use, store_usage
from tests.conftest import Issue

pytestmark = pytest.mark.django_db

NOON = datetime(2026, 5, 4, 12, tzinfo=UTC)
YESTERDAY = NOON - timedelta(days=1)
HOME, AWAY = "192.0.2.1", "192.0.2.2"


class Watch(SimpleNamespace):
    """A clock that stands until somebody moves it."""

    now = 1000.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture(autouse=True)
def no_redis(settings: Settings) -> None:
    """Uses go straight to the database."""
    settings.REDIS_URL = ""


@pytest.fixture
def watch(monkeypatch: pytest.MonkeyPatch, scribe: UsageFlusher) -> Watch:
    """The scribe's clock; it has just handed everything over."""
    watch = Watch()
    monkeypatch.setattr(flusher, "time", watch)
    scribe._handed_over = watch.now
    return watch


@pytest.fixture
def token(user: Membership, issue: Issue) -> APIToken:
    """A token that was used from one address a day before."""
    token = issue(user, at=NOON - timedelta(days=2)).token
    store_usage([Use(token.pk, HOME, YESTERDAY, YESTERDAY, 1)])
    return token


def remembered(token: APIToken, at: datetime = NOON, address: str | None = HOME) -> None:
    record_use(token_id=token.pk, at=at, address=address)


def last_used_at(token: APIToken) -> datetime | None:
    token.refresh_from_db()
    return token.last_used_at


def uses_today(token: APIToken) -> int:
    return sum(
        TokenUseDay.objects.filter(token=token, day=NOON.date()).values_list("count", flat=True)
    )


# --- The notebook ------------------------------------------------------------------------------


def test_uses_of_a_token_from_an_address_are_one_line() -> None:
    notebook = UsageBuffer()
    for second in (5, 1, 9):
        notebook.note(1, HOME, NOON + timedelta(seconds=second))
    notebook.note(1, AWAY, NOON)
    assert notebook.take() == [
        Use(1, HOME, NOON + timedelta(seconds=5), NOON + timedelta(seconds=9), 3),
        Use(1, AWAY, NOON, NOON, 1),
    ]


def test_what_is_taken_is_not_taken_again() -> None:
    notebook = UsageBuffer()
    notebook.note(1, HOME, NOON)
    assert notebook.take()
    assert not notebook.take()


def test_midnight_in_utc_begins_a_new_line() -> None:
    notebook = UsageBuffer()
    midnight = datetime(2026, 5, 5, tzinfo=UTC)
    before = midnight - timedelta(seconds=1)
    for at in (before, midnight, midnight):
        notebook.note(1, HOME, at)
    assert notebook.take() == [Use(1, HOME, before, before, 1), Use(1, HOME, midnight, midnight, 2)]


def test_notebook_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flusher, "MOST_KEPT", 10)
    notebook = UsageBuffer()
    for number in range(50):
        notebook.note(number, HOME, NOON)
    assert [each.token_id for each in notebook.take()] == list(range(10))


def test_what_is_put_back_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flusher, "MOST_KEPT", 10)
    notebook = UsageBuffer()
    for _time in range(3):
        notebook.put_back(Use(number, HOME, NOON, NOON, 1) for number in range(50))
    assert notebook.take() == [Use(number, HOME, NOON, NOON, 3) for number in range(10)]


def test_what_the_process_has_met_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(flusher, "MOST_MET", 10)
    notebook = UsageBuffer()
    for number in range(50):
        notebook.note(number, HOME, NOON)
    assert len(notebook._met) <= 10


def test_threads_lose_no_use_to_each_other_or_to_who_takes() -> None:
    notebook, taken = UsageBuffer(), []

    def use_often() -> None:
        for _time in range(5_000):
            notebook.note(1, HOME, NOON)

    threads = [threading.Thread(target=use_often) for _each in range(4)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        taken += notebook.take()
    taken += notebook.take()
    assert sum(each.times for each in taken) == 20_000


# --- Handing over ------------------------------------------------------------------------------


def test_remembering_is_no_query(token: APIToken) -> None:
    with CaptureQueriesContext(connection) as queries:
        remembered(token)
    assert not queries.captured_queries


def test_uses_are_written_once_a_minute_in_one_go(
    token: APIToken, scribe: UsageFlusher, watch: Watch
) -> None:
    for second in range(60):
        remembered(token, NOON + timedelta(seconds=second))
        watch.now += 1
        with CaptureQueriesContext(connection) as queries:
            scribe.flush()
        updates = [each for each in queries.captured_queries if each["sql"].startswith("UPDATE")]
        assert len(updates) == (1 if second == 59 else 0)
    assert (last_used_at(token), uses_today(token)) == (NOON + timedelta(seconds=59), 60)


def test_nothing_used_costs_no_query(scribe: UsageFlusher, watch: Watch) -> None:
    watch.now += 60
    with CaptureQueriesContext(connection) as queries:
        scribe.flush()
    assert not queries.captured_queries


def test_notebook_that_fills_is_written_before_its_time(
    token: APIToken, scribe: UsageFlusher, watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(flusher, "MOST_KEPT", 2)
    remembered(token)
    remembered(token, address=None)
    scribe.flush()
    assert last_used_at(token) == NOON


def test_process_that_ends_hands_everything_over(
    token: APIToken, scribe: UsageFlusher, watch: Watch
) -> None:
    remembered(token)
    scribe.end()
    assert (last_used_at(token), uses_today(token)) == (NOON, 1)


def test_first_use_ever_is_written_before_the_answer(user: Membership, issue: Issue) -> None:
    token = issue(user).token
    record_use(token_id=token.pk, at=NOON, address=HOME, is_first=True)
    assert (last_used_at(token), uses_today(token)) == (NOON, 1)


def test_first_use_is_first_once(user: Membership, issue: Issue, scribe: UsageFlusher) -> None:
    """What was read of the token before its first use may be believed for a moment longer."""
    token = issue(user).token
    for second in range(3):
        at = NOON + timedelta(seconds=second)
        record_use(token_id=token.pk, at=at, address=HOME, is_first=True)
    assert last_used_at(token) == NOON
    scribe.end()
    assert uses_today(token) == 3


def test_unknown_address_is_written_within_a_tick(
    token: APIToken, scribe: UsageFlusher, watch: Watch
) -> None:
    remembered(token, address=AWAY)
    watch.now += 1
    scribe.flush()
    assert AuditEvent.objects.filter(
        kind="token.used_from_new_address", address=AWAY, subject_id=token.pk
    ).exists()


def test_known_address_waits_for_its_minute(
    token: APIToken, scribe: UsageFlusher, watch: Watch
) -> None:
    remembered(token)
    watch.now += 1
    scribe.flush()
    assert last_used_at(token) == YESTERDAY


def test_address_is_looked_up_once_by_a_process(
    token: APIToken, scribe: UsageFlusher, watch: Watch
) -> None:
    remembered(token)
    scribe.flush()
    remembered(token)
    with CaptureQueriesContext(connection) as queries:
        scribe.flush()
    assert not queries.captured_queries


# --- When it fails -----------------------------------------------------------------------------


def test_uses_wait_while_the_database_does_not_answer(
    token: APIToken, scribe: UsageFlusher, watch: Watch, caplog: pytest.LogCaptureFixture
) -> None:
    remembered(token)
    watch.now += 60
    with patch.object(flusher, "write_down", side_effect=DatabaseError("gone")):
        scribe.flush()
    assert "Uses of API tokens wait" in caplog.text
    remembered(token, NOON + timedelta(seconds=1))
    watch.now += 1
    scribe.flush()
    assert (last_used_at(token), uses_today(token)) == (NOON + timedelta(seconds=1), 2)


def test_stranger_is_looked_up_again_when_the_database_is_back(
    token: APIToken, scribe: UsageFlusher, watch: Watch
) -> None:
    remembered(token, address=AWAY)
    with patch.object(flusher, "unknown_places", side_effect=DatabaseError("gone")):
        scribe.flush()
    scribe.flush()
    assert AuditEvent.objects.filter(address=AWAY).exists()


def test_first_use_that_cannot_be_written_waits(
    user: Membership, issue: Issue, scribe: UsageFlusher, caplog: pytest.LogCaptureFixture
) -> None:
    token = issue(user).token
    with patch.object(flusher, "write_down", side_effect=DatabaseError("gone")):
        record_use(token_id=token.pk, at=NOON, address=HOME, is_first=True)
    assert f"The use of API token {token.pk}" in caplog.text
    scribe.end()
    assert (last_used_at(token), uses_today(token)) == (NOON, 1)


def test_part_that_fails_does_not_count_the_others_twice(
    user: Membership, issue: Issue, scribe: UsageFlusher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "TOKENS_AT_ONCE", 1)
    tokens = sorted((issue(user).token for _each in range(3)), key=lambda token: token.pk)
    for token in tokens:
        remembered(token, address=None)
    with patch.object(flusher, "write_down", side_effect=[store_usage([]), DatabaseError("gone")]):
        scribe.end()
    kept = scribe.notebook.take()
    assert [each.token_id for each in kept] == [token.pk for token in tokens[1:]]
