"""Those who wait for one account leave threads to all others."""

import contextlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import psycopg
import pytest
from django.db import OperationalError

from accounts.authorization import lock_queue
from accounts.authorization.lock_queue import MOST_WAITING, LockQueue

MINE, OTHER = 1, 2


@pytest.fixture
def queue() -> LockQueue:
    return LockQueue()


@pytest.fixture
def full(queue: LockQueue) -> Iterator[ExitStack]:
    """As many wait for the lock of an account as may."""
    with ExitStack() as waiting:
        for _each in range(MOST_WAITING):
            assert waiting.enter_context(queue.place(MINE))
        yield waiting


def may_wait(queue: LockQueue, account_id: int) -> bool:
    with queue.place(account_id) as found:
        return found


def test_nobody_joins_a_full_queue_that_does_not_move(
    queue: LockQueue, full: ExitStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lock_queue, "STUCK_AFTER", 0)

    assert not may_wait(queue, MINE)
    assert may_wait(queue, OTHER)


def test_the_next_waits_for_a_turn_where_the_queue_moves(
    queue: LockQueue, full: ExitStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lock_queue, "STUCK_AFTER", 60)
    with ThreadPoolExecutor(1) as another:
        turn = another.submit(may_wait, queue, MINE)
        full.close()  # those before have got the lock
        assert turn.result(timeout=30)


def test_nobody_waits_after_one_who_waited_in_vain_until_the_lock_is_free(
    queue: LockQueue,
) -> None:
    assert asks_in_vain(queue)
    assert may_wait(queue, OTHER)
    assert not asks_in_vain(queue)
    assert not may_wait(queue, MINE)  # and this one got it
    assert may_wait(queue, MINE)


def asks_in_vain(queue: LockQueue) -> bool:
    """Whether one that does not get the lock was let to wait for it."""
    found = []
    with contextlib.suppress(OperationalError), queue.place(MINE) as is_let:
        found.append(is_let)
        raise OperationalError from psycopg.errors.LockNotAvailable()
    return found[0]
