"""The threads of a web process are divided."""

import pytest

from accounts.throttling.threads import Shares, shares

FEWEST, MOST = 4, 256
"""Values of WEB_THREADS."""


@pytest.fixture
def allowed() -> dict[int, Shares]:
    """The shares of every number of threads that may be set."""
    return {threads: shares(threads) for threads in range(FEWEST, MOST + 1)}


def test_sixteen_threads_are_divided_as_measured() -> None:
    assert shares(16) == Shares(
        with_database=12, patient=8, hashing=5, estimating=2, reading=6, sending=3
    )


def test_database_that_hangs_leaves_a_quarter_of_the_threads(allowed: dict[int, Shares]) -> None:
    for threads, of in allowed.items():
        assert 1 <= of.patient <= of.with_database
        assert threads - of.with_database >= max(1, threads // 4)


def test_passwords_and_slow_clients_leave_a_thread(allowed: dict[int, Shares]) -> None:
    for threads, of in allowed.items():
        assert min(of) >= 1
        assert of.hashing + of.estimating + of.reading < threads
        assert of.reading + of.sending < threads


def test_those_who_wait_for_a_hash_leave_the_door_of_the_database_open(
    allowed: dict[int, Shares],
) -> None:
    """They have a patient place there. If they had all, the next request would wait at the door
    with its thread, and the others behind it, until none was left for verification (seen: 457 times
    the idle p99)."""
    for threads, of in allowed.items():
        assert of.hashing < of.patient
        assert of.hashing + of.estimating < of.patient or threads == FEWEST


def test_more_threads_serve_more() -> None:
    sixteen, many = shares(16), shares(64)
    assert (many.with_database, many.patient) == (48, 32)
    assert (many.reading, many.sending) == (4 * sixteen.reading, 4 * sixteen.sending)
    assert many.hashing == sixteen.hashing  # one processor hashes, however many wait
