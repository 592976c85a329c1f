"""Those who write to SQLite get its lock in the order in which they came."""

import sqlite3
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest
from django.db import OperationalError, connection, transaction
from django.http import HttpRequest, HttpResponse

from config.database import limits
from config.database.limits import limit_waits
from config.database.turns import Turns, TurnTaker, turns
from config.database.wal import existing_only
from tests.conftest import is_on_postgresql

PEOPLE = 6

pytestmark = pytest.mark.skipif(is_on_postgresql(), reason="PostgreSQL queues by itself")


@pytest.fixture
def serving(transactional_db: None) -> Iterator[None]:
    """A process that serves: its connections take turns."""
    connection.close()
    with existing_only():
        connection.ensure_connection()
        assert isinstance(connection.connection, TurnTaker)
        yield
        connection.close()


@limit_waits
def write(request: HttpRequest) -> HttpResponse:
    """Holds the lock for a while, and says when it got it."""
    try:
        with transaction.atomic():
            got_it_at = time.monotonic()
            time.sleep(0.1)
            if request.META.get("FAILS"):
                raise ValueError
            return HttpResponse(str(got_it_at))
    finally:
        connection.close()


def request(**facts: str) -> HttpRequest:
    made = HttpRequest()
    made.META.update(facts)
    return made


def database_file() -> Path:
    return Path(str(connection.settings_dict["NAME"]))


@pytest.mark.usefixtures("serving")
def test_requests_write_in_the_order_in_which_they_came() -> None:
    with ThreadPoolExecutor(PEOPLE) as pool:
        waiting = list[Future[HttpResponse]]()
        for _person in range(PEOPLE):
            waiting.append(pool.submit(write, request()))
            time.sleep(0.05)
        times = [float(each.result().content) for each in waiting]

    assert times == sorted(times)


@pytest.mark.usefixtures("serving")
def test_turn_is_left_when_a_transaction_fails() -> None:
    for _person in range(2):
        with pytest.raises(ValueError, match=r"^$"):
            write(request(FAILS="1"))

    assert write(request()).status_code == 200


@pytest.mark.usefixtures("serving")
def test_turn_is_left_when_another_process_keeps_the_lock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "SQLITE_SECONDS", 0.1)
    other = sqlite3.connect(database_file(), isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(OperationalError, match="locked"):
        write(request())
    other.execute("ROLLBACK")

    assert write(request()).status_code == 200
    other.close()


@pytest.mark.usefixtures("serving")
def test_who_waited_for_a_turn_is_turned_away_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "SQLITE_SECONDS", 0.1)
    assert turns.take(seconds=0)  # of one that does not end
    try:
        with pytest.raises(OperationalError):
            write(request())
    finally:
        turns.leave()

    assert write(request()).status_code == 200


def test_turn_that_comes_at_the_last_moment_is_not_lost() -> None:
    some = Turns()
    lost = 0
    for _round in range(200):
        assert some.take(seconds=0)
        threading.Timer(0.001, some.leave).start()
        if some.take(seconds=0.001):
            some.leave()
        else:
            lost += 1
            time.sleep(0.005)

    assert lost < 200
    assert some.take(seconds=1)
