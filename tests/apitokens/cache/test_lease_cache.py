"""What a process remembers is never older than a lease, and what is forgotten stays forgotten."""

import sys
import threading
from collections.abc import Iterator

import pytest

from apitokens.cache.lease_cache import ReadLeaseCache


class Clock:
    """Seconds that go on when the test says so."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def leases(monkeypatch: pytest.MonkeyPatch, clock: Clock) -> ReadLeaseCache[str]:
    monkeypatch.setattr("apitokens.cache.lease_cache.clock", clock)
    return ReadLeaseCache(most=3)


def keep(leases: ReadLeaseCache[str], row_id: int, fact: str = "good") -> None:
    leases.keep(row_id, fact, leases.begin(row_id), seconds=1)


def test_fact_is_found_while_its_lease_lasts(leases: ReadLeaseCache[str], clock: Clock) -> None:
    keep(leases, 1)
    clock.now += 0.999
    assert leases.find(1) == "good"


def test_fact_is_not_found_from_the_end_of_its_lease_on(
    leases: ReadLeaseCache[str], clock: Clock
) -> None:
    keep(leases, 1)
    clock.now += 1
    assert leases.find(1) is None


def test_lease_counts_from_before_the_read_however_long_that_took(
    leases: ReadLeaseCache[str], clock: Clock
) -> None:
    reading = leases.begin(1)
    clock.now += 0.9  # a slow database
    leases.keep(1, "good", reading, seconds=1)
    assert leases.find(1) == "good"
    clock.now += 0.1
    assert leases.find(1) is None


def test_lease_is_not_prolonged_by_use(leases: ReadLeaseCache[str], clock: Clock) -> None:
    keep(leases, 1)
    for _tenth in range(9):
        clock.now += 0.1
        assert leases.find(1) == "good"
    clock.now += 0.11
    assert leases.find(1) is None


def test_lease_of_no_seconds_keeps_nothing(leases: ReadLeaseCache[str]) -> None:
    leases.keep(1, "good", leases.begin(1), seconds=0)
    assert leases.find(1) is None
    assert len(leases) == 0


@pytest.mark.parametrize("forgets", ["this one", "all"])
def test_late_read_does_not_bring_back_what_was_forgotten_meanwhile(
    leases: ReadLeaseCache[str], forgets: str
) -> None:
    reading = leases.begin(1)  # sees the row before the deletion
    if forgets == "all":
        leases.forget_all()
    else:
        leases.forget(1)
    leases.keep(1, "good", reading, seconds=1)
    assert leases.find(1) is None


def test_read_that_begins_after_the_forgetting_is_kept(leases: ReadLeaseCache[str]) -> None:
    leases.forget(1)
    keep(leases, 1, "deleted")
    assert leases.find(1) == "deleted"


def test_forgetting_one_leaves_the_others(leases: ReadLeaseCache[str]) -> None:
    keep(leases, 1)
    keep(leases, 2)
    leases.forget(1)
    assert (leases.find(1), leases.find(2)) == (None, "good")


def test_forgetting_all_leaves_none(leases: ReadLeaseCache[str]) -> None:
    keep(leases, 1)
    keep(leases, 2)
    leases.forget_all()
    assert (leases.find(1), leases.find(2), len(leases)) == (None, None, 0)


def test_memory_is_bounded_and_the_oldest_read_goes_first(leases: ReadLeaseCache[str]) -> None:
    for row_id in range(1, 5):
        keep(leases, row_id)
    assert [leases.find(row_id) for row_id in range(1, 5)] == [None, "good", "good", "good"]


def test_what_is_read_again_is_no_longer_the_oldest(leases: ReadLeaseCache[str]) -> None:
    for row_id in (1, 2, 3, 1, 4):
        keep(leases, row_id)
    assert [leases.find(row_id) for row_id in (1, 2)] == ["good", None]


def test_ended_leases_leave_memory_at_the_next_read(
    leases: ReadLeaseCache[str], clock: Clock
) -> None:
    keep(leases, 1)
    keep(leases, 2)
    clock.now += 1
    keep(leases, 3)
    assert len(leases) == 1


@pytest.fixture
def restless_threads() -> Iterator[None]:
    """Threads interrupt each other thousands of times as often as usual."""
    usual = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(usual)


def test_reads_at_the_moment_of_a_deletion_do_not_outlast_it(restless_threads: None) -> None:
    leases: ReadLeaseCache[str] = ReadLeaseCache(most=10)

    for _round in range(200):
        row = {"state": "good"}

        def read(row: dict[str, str] = row) -> None:
            for _time in range(5):
                reading = leases.begin(1)
                leases.keep(1, row["state"], reading, seconds=60)

        readers = [threading.Thread(target=read) for _reader in range(4)]
        for reader in readers:
            reader.start()
        row["state"] = "deleted"
        leases.forget(1)
        assert leases.find(1) != "good"
        for reader in readers:
            reader.join()
        assert leases.find(1) != "good"
