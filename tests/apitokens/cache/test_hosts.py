"""Hosts have a row before they keep anything of a token; on SQLite they share a file."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.db import DatabaseError, connection
from django.utils import timezone
from pytest_django import Settings

from apitokens.cache import hosts, marks
from apitokens.cache.lease_cache import clock
from apitokens.cache.marks import in_own_memory
from apitokens.models import VerifyingHost
from tests.conftest import is_on_postgresql

pytestmark = [pytest.mark.both, pytest.mark.django_db(transaction=True)]


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> Iterator[marks.Marks]:
    """This process as a host by itself."""
    own = in_own_memory()
    monkeypatch.setattr(hosts, "marks", lambda: own)
    yield own
    VerifyingHost.objects.all().delete()
    marks.marks().distrust()


@pytest.fixture
def on_postgresql() -> None:
    if not is_on_postgresql():
        pytest.skip("SQLite has one host")


def see(host_id: int, *, lease: float = 0.5, seconds_ago: int = 0) -> None:
    """There is another host, which has written its row so long ago."""
    VerifyingHost.objects.create(id=host_id, lease=lease, seen_at=timezone.now())
    with connection.cursor() as cursor:
        cursor.execute(
            "UPDATE apitokens_verifyinghost SET seen_at = clock_timestamp() - make_interval("
            "secs => %s) WHERE id = %s",
            [seconds_ago, host_id],
        )


@pytest.mark.usefixtures("on_postgresql")
def test_row_is_there_before_anything_is_kept(here: marks.Marks) -> None:
    _marks, until = hosts.token_marks()
    assert VerifyingHost.objects.filter(pk=here.host_id, lease=1).exists()
    assert clock() < until < clock() + hosts.TRUSTED_FOR


@pytest.mark.usefixtures("on_postgresql")
def test_row_is_written_once_for_a_while(
    here: marks.Marks, django_assert_num_queries: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    _marks, until = hosts.token_marks()
    with django_assert_num_queries(0):
        assert hosts.token_marks()[1] == until
    monkeypatch.setattr(hosts, "clock", lambda: clock() + hosts.RENEWED_AFTER)
    with django_assert_num_queries(1):
        assert hosts.token_marks()[1] > until


@pytest.mark.usefixtures("on_postgresql")
def test_row_that_cannot_be_written_is_not_believed_in(
    here: marks.Marks, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hosts, "_WRITE", "SELECT 1 / 0, %s, %s")
    assert hosts.token_marks()[1] == 0
    assert hosts.token_marks()[1] == 0


@pytest.mark.usefixtures("on_postgresql")
def test_longer_lease_of_another_process_of_the_host_is_written_first(
    here: marks.Marks, settings: Settings
) -> None:
    settings.VERIFY_CACHE_SECONDS = 0.2
    hosts.token_marks()
    settings.VERIFY_CACHE_SECONDS = 1
    hosts.token_marks()
    assert VerifyingHost.objects.get(pk=here.host_id).lease == 1


@pytest.mark.usefixtures("on_postgresql")
def test_shorter_lease_takes_no_longer_one_back(here: marks.Marks, settings: Settings) -> None:
    """Of two that write the row at the same moment, neither knows of the other's lease."""
    hosts.token_marks()
    settings.VERIFY_CACHE_SECONDS = 0.2
    here.trust(until=0, lease=0.2, renew_at=0)
    hosts.token_marks()
    assert VerifyingHost.objects.get(pk=here.host_id).lease == here.lease == 1


@pytest.mark.usefixtures("on_postgresql")
def test_others_are_those_seen_of_late(here: marks.Marks) -> None:
    hosts.token_marks()
    see(1)
    see(2, seconds_ago=hosts.RESPECTED_FOR - 5, lease=1)
    see(3, seconds_ago=hosts.RESPECTED_FOR + 1)
    found = hosts.others(here)
    assert {number: lease for number, lease in found.items() if number < 9} == {1: 0.5, 2: 1}
    assert here.host_id not in found


@pytest.mark.usefixtures("on_postgresql")
def test_rows_of_long_ago_go(here: marks.Marks) -> None:
    see(1, seconds_ago=100_000)
    hosts.token_marks()
    assert not VerifyingHost.objects.filter(pk=1).exists()


def test_sqlite_keeps_nothing_without_shared_memory(here: marks.Marks) -> None:
    """And who deletes waits for those that might have kept something before."""
    if is_on_postgresql():
        pytest.skip("PostgreSQL knows such a process by its row")
    assert hosts.token_marks()[1] == 0
    assert hosts.others(here) == {0: hosts.LONGEST_LEASE}


def test_database_that_fails_after_the_commit_is_waited_for_as_unknown(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from apitokens.cache import in_force

    def fail(_known: marks.Marks) -> dict[int, float]:
        raise DatabaseError

    monkeypatch.setattr(hosts, "others", fail)
    with in_force.together():
        in_force.end_token_on_commit(77)
        pending = in_force._thread.pending
        assert pending is not None
        assert set(pending.leases_end) == {0}
        pending.leases_end.clear()  # the test need not wait
