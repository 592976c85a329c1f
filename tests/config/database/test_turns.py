"""Those who write to SQLite get its lock in the order in which they came."""

import sqlite3
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from unittest.mock import patch

import pytest
from django.db import OperationalError, connection, transaction
from django.http import HttpRequest, HttpResponse
from django.test import RequestFactory

from apitokens.lock_patience import atomic_within
from config.database import limits
from config.database.limits import brief_waits, limit_waits
from config.database.turns import Turns, TurnTaker, turns
from config.database.wal import existing_only
from tests.config.database.conftest import database_file
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


def wait_until_queued(number: int) -> None:
    ends_at = time.monotonic() + 4
    while len(turns._waiting) < number:
        assert time.monotonic() < ends_at, "they do not queue"
        time.sleep(0.001)


@pytest.mark.usefixtures("serving")
def test_requests_write_in_the_order_in_which_they_came() -> None:
    waiting = list[Future[HttpResponse]]()
    with ThreadPoolExecutor(PEOPLE) as pool:
        assert turns.take(seconds=0)
        try:
            for person in range(PEOPLE):
                waiting.append(pool.submit(write, RequestFactory().get("/")))
                wait_until_queued(person + 1)
        finally:
            turns.leave()
    times = [float(each.result().content) for each in waiting]

    assert times == sorted(times)


@pytest.mark.usefixtures("serving")
def test_turn_is_left_when_a_transaction_fails() -> None:
    for _person in range(2):
        with pytest.raises(ValueError, match=r"^$"):
            write(RequestFactory().get("/", FAILS="1"))

    assert write(RequestFactory().get("/")).status_code == 200


@pytest.mark.usefixtures("serving")
def test_turn_is_left_when_another_process_keeps_the_lock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "SQLITE_SECONDS", 0.1)
    other = sqlite3.connect(database_file(), isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(OperationalError, match="locked"):
        write(RequestFactory().get("/"))
    other.execute("ROLLBACK")

    assert write(RequestFactory().get("/")).status_code == 200
    other.close()


@pytest.mark.usefixtures("serving")
def test_who_waited_for_a_turn_is_turned_away_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "SQLITE_SECONDS", 0.1)
    assert turns.take(seconds=0)  # of one that does not end
    try:
        with pytest.raises(OperationalError):
            write(RequestFactory().get("/"))
    finally:
        turns.leave()

    assert write(RequestFactory().get("/")).status_code == 200


@pytest.mark.usefixtures("serving")
def test_who_may_not_wait_long_does_not_wait_long_for_a_turn(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Verification writes so."""
    waited = list[float]()

    def take(*, seconds: float) -> bool:
        waited.append(seconds)
        return False

    @limit_waits
    def write_briefly(_request: HttpRequest) -> HttpResponse:
        with atomic_within(0.1):
            raise AssertionError

    monkeypatch.setattr(turns, "take", take)
    with pytest.raises(OperationalError):
        write_briefly(RequestFactory().get("/"))
    assert waited == [0.1]


@pytest.mark.usefixtures("serving")
def test_wait_for_a_turn_shortens_no_later_wait() -> None:
    @limit_waits
    def write_after_another(_request: HttpRequest) -> HttpResponse:
        assert turns.take(seconds=0)
        threading.Timer(0.1, turns.leave).start()
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("PRAGMA busy_timeout")
            return HttpResponse(str(cursor.fetchone()[0]))

    assert (
        int(write_after_another(RequestFactory().get("/")).content) == 1000 * limits.SQLITE_SECONDS
    )


@pytest.mark.usefixtures("serving")
def test_turn_is_taken_once_where_bounds_are_nested() -> None:
    @limit_waits
    def write_within_both(_request: HttpRequest) -> HttpResponse:
        with brief_waits(even_alone=True), transaction.atomic():
            return HttpResponse()

    assert write_within_both(RequestFactory().get("/")).status_code == 200
    assert turns.take(seconds=0)
    turns.leave()


@limit_waits
def read(_request: HttpRequest) -> HttpResponse:
    """Says when its second statement was answered."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
        cursor.execute("SELECT 2")
    connection.close()
    return HttpResponse(str(time.monotonic()))


@pytest.mark.usefixtures("serving")
def test_pages_go_on_when_another_request_has_written(monkeypatch: pytest.MonkeyPatch) -> None:
    """Beside a page, a writer has half of the interpreter, and the lock for twice as long."""
    monkeypatch.setattr(limits, "GIVES_WAY_SECONDS", 10)
    began, may_end = threading.Event(), threading.Event()

    @limit_waits
    def write_slowly(_request: HttpRequest) -> HttpResponse:
        with transaction.atomic():
            began.set()
            may_end.wait(10)
            ended_at = time.monotonic()
        connection.close()
        return HttpResponse(str(ended_at))

    with ThreadPoolExecutor(2) as pool:
        writer = pool.submit(write_slowly, RequestFactory().get("/"))
        began.wait(10)
        reader = pool.submit(read, RequestFactory().get("/"))
        time.sleep(0.1)
        may_end.set()

    assert float(writer.result().content) < float(reader.result().content)


class Writing:
    """Stands for a transaction that does not end."""

    def __init__(self) -> None:
        self.waited = list[float]()

    def acquire(self, timeout: float) -> bool:
        self.waited.append(timeout)
        return False


@pytest.mark.usefixtures("serving")
def test_page_waits_for_a_slow_writer_once_and_for_a_moment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    slow = Writing()
    monkeypatch.setattr(turns, "_writing", slow)

    assert read(RequestFactory().get("/")).status_code == 200
    assert slow.waited == [limits.GIVES_WAY_SECONDS]


@pytest.mark.usefixtures("serving")
def test_writer_gives_way_to_nobody() -> None:
    """Who waits for a turn uses no interpreter, and has a place in the queue."""

    @limit_waits
    def write_and_read(_request: HttpRequest) -> HttpResponse:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SELECT 1")
        connection.close()
        return HttpResponse()

    with patch.object(turns, "give_way", side_effect=AssertionError):
        assert write_and_read(RequestFactory().get("/")).status_code == 200


@pytest.mark.usefixtures("serving")
def test_verification_waits_for_no_writer() -> None:
    with (
        patch.object(turns, "give_way", side_effect=AssertionError),
        brief_waits(even_alone=True),
        connection.cursor() as cursor,
    ):
        cursor.execute("SELECT 1")
        assert cursor.fetchone() == (1,)


def test_turn_that_comes_at_the_last_moment_is_not_lost() -> None:
    some = Turns()
    for _round in range(200):
        assert some.take(seconds=0)
        timer = threading.Timer(0.001, some.leave)
        timer.start()
        came = some.take(seconds=0.001)
        timer.join()
        if came:
            some.leave()
