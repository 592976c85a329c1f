"""Passwords are hashed one at a time, and too many at once are sent away; others go on."""

import multiprocessing
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import Path

import pytest
from django.contrib.auth.hashers import Argon2PasswordHasher, check_password, make_password
from django.db import connection
from django.test import Client, RequestFactory
from django.views.debug import ExceptionReporter, SafeExceptionReporterFilter
from pytest_django import Settings

from accounts.models import Membership
from accounts.throttling import password_hashing
from accounts.throttling.password_hashing import MOST_WAITING, TooBusy, in_turn
from tests.factories import PASSWORD

HASHERS = ["accounts.throttling.password_hashing.Argon2"]
OLDER = "argon2$argon2id$v=19$m=102400,t=2,p=8$c2FsdHNhbHQ$"


@pytest.fixture(autouse=True)
def real_hashers(settings: Settings) -> None:
    settings.PASSWORD_HASHERS = HASHERS


@contextmanager
def crowd() -> Iterator[None]:
    """As many passwords wait as may."""
    goes_on, have_come = threading.Event(), threading.Semaphore(0)

    def wait() -> None:
        have_come.release()
        goes_on.wait(timeout=60)

    waiting = [threading.Thread(target=in_turn, args=[wait]) for _ in range(MOST_WAITING)]
    for each in waiting:
        each.start()
    have_come.acquire(timeout=60)  # the first is in hand
    while password_hashing._gate.queue._value:  # the others queue up
        time.sleep(0.001)
    yield
    goes_on.set()
    for each in waiting:
        each.join()


@pytest.fixture
def full() -> Iterator[None]:
    with crowd():
        yield


def test_parameters_are_those_that_owasp_recommends() -> None:
    assert make_password("secret").startswith("argon2$argon2id$v=19$m=19456,t=2,p=1$")


def test_hash_of_other_parameters_is_renewed_at_the_next_sign_in() -> None:
    older = Argon2PasswordHasher().encode("secret", "saltsalt")
    assert older.startswith(OLDER)
    renewed: list[str] = []

    assert check_password("secret", older, lambda raw: renewed.append(make_password(raw)))

    assert [each.split("$")[3] for each in renewed] == ["m=19456,t=2,p=1"]
    assert not check_password("wrong", older)


def test_one_password_is_hashed_at_a_time() -> None:
    at_once: list[int] = []
    inside = threading.Semaphore(0)

    def hash_one() -> None:
        inside.release()
        at_once.append(inside._value)
        time.sleep(0.01)
        inside.acquire()

    threads = [threading.Thread(target=in_turn, args=[hash_one]) for _ in range(MOST_WAITING)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()

    assert at_once == [1] * MOST_WAITING


def test_password_beyond_the_queue_is_sent_away(full: None) -> None:
    with pytest.raises(TooBusy):
        make_password("secret")


def test_place_of_one_that_failed_is_free_again() -> None:
    for _time in range(MOST_WAITING + 1):
        with pytest.raises(ZeroDivisionError):
            in_turn(lambda: 1 // 0)
    assert make_password("secret")


def test_forked_process_hashes_too() -> None:
    make_password("secret")  # the thread is there
    fork = multiprocessing.get_context("fork")
    child = fork.Process(target=make_password, args=["secret"])
    child.start()
    child.join(timeout=30)
    assert child.exitcode == 0


@pytest.mark.django_db
def test_page_says_that_many_sign_in_and_when_to_come_again(
    client: Client, user: Membership, full: None
) -> None:
    answer = client.post("/sign-in/", {"login": user.user.email, "password": PASSWORD})

    assert answer.status_code == HTTPStatus.SERVICE_UNAVAILABLE
    assert answer["Retry-After"] == "1"
    assert "Wait a few seconds" in answer.content.decode()
    assert "_auth_user_id" not in client.session


@pytest.mark.django_db
def test_api_says_so_too(client: Client, user: Membership, full: None) -> None:
    answer = client.post(
        "/iam/auth/jwt/login",
        {"username": user.user.email, "password": PASSWORD},
        content_type="application/json",
    )

    assert (answer.status_code, answer["Retry-After"]) == (HTTPStatus.SERVICE_UNAVAILABLE, "1")
    assert answer.json() == {
        "message": "Too many people are signing in right now. Try again in a second."
    }


TRIES = 8
"""More than the limits allow for wrong passwords."""


@pytest.mark.django_db
def test_who_was_sent_away_has_used_up_no_try_on_the_page(client: Client, user: Membership) -> None:
    form = {"login": user.user.email, "password": PASSWORD}
    with crowd():
        answers = [client.post("/sign-in/", form).status_code for _time in range(TRIES)]
    assert answers == [HTTPStatus.SERVICE_UNAVAILABLE] * TRIES

    client.post("/sign-in/", form)

    assert "_auth_user_id" in client.session


@pytest.mark.django_db
def test_who_was_sent_away_has_used_up_no_try_in_the_api(client: Client, user: Membership) -> None:
    credentials = {"username": user.user.email, "password": PASSWORD}

    def log_in() -> int:
        return client.post(
            "/iam/auth/jwt/login", credentials, content_type="application/json"
        ).status_code

    with crowd():
        assert {log_in() for _time in range(TRIES)} == {HTTPStatus.SERVICE_UNAVAILABLE}

    assert log_in() == HTTPStatus.OK


def test_error_report_hides_the_password_in_the_hashing_thread(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fail(_self: Argon2PasswordHasher, password: str, salt: str) -> str:
        raise MemoryError

    monkeypatch.setattr(Argon2PasswordHasher, "encode", fail)
    monkeypatch.setattr(SafeExceptionReporterFilter, "is_active", lambda _self, _request: True)
    with pytest.raises(MemoryError) as raised:
        make_password("correct horse battery")
    facts = (raised.type, raised.value, raised.tb)
    frames = ExceptionReporter(RequestFactory().get("/"), *facts).get_traceback_frames()

    in_the_thread = {each["function"]: dict(each["vars"]) for each in frames}
    assert "correct horse battery" not in str(in_the_thread["fail"])
    assert "correct horse battery" not in str(in_the_thread["<lambda>"])


# --- A storm ------------------------------------------------------------------------------------

STORM = 40
"""Sign-ins at once, each of another address of the network and for another address of e-mail: none
of them reaches a limit."""


@pytest.mark.django_db(transaction=True)
@pytest.mark.both
def test_storm_of_sign_ins_takes_the_memory_of_one_hash() -> None:
    """In a process of its own: memory that was once taken stays with a process."""
    connection.close()
    fork = multiprocessing.get_context("fork")
    with ProcessPoolExecutor(1, fork) as process:
        statuses, taken = process.submit(_storm).result(timeout=120)

    of_a_hash = password_hashing.Argon2.memory_cost * 1024
    assert set(statuses) <= {HTTPStatus.BAD_REQUEST, HTTPStatus.SERVICE_UNAVAILABLE}
    assert HTTPStatus.BAD_REQUEST in statuses
    assert taken < 3 * of_a_hash


def _storm() -> tuple[list[int], int]:
    """How all were answered, and by how many bytes the process has grown at the most."""
    start = threading.Barrier(STORM)

    def sign_in(number: int) -> int:
        try:
            start.wait(timeout=60)
            return _sign_in(number)
        finally:
            connection.close()

    _sign_in(STORM)  # what is loaded by the first of all
    before = _memory("VmRSS")
    Path("/proc/self/clear_refs").write_text("5")  # the peak begins anew
    with ThreadPoolExecutor(STORM) as crowd:
        statuses = list(crowd.map(sign_in, range(STORM)))
    return statuses, _memory("VmHWM") - before


def _sign_in(number: int) -> int:
    # On a slow machine the database may keep all waiting, too: that is answered 503 as well.
    browser = Client(REMOTE_ADDR=f"198.51.100.{number}", raise_request_exception=False)
    answer = browser.post(
        "/iam/auth/jwt/login",
        {"username": f"nobody{number}@example.com", "password": PASSWORD},
        content_type="application/json",
    )
    return answer.status_code


def _memory(name: str) -> int:
    """Bytes of this process, as Linux counts them."""
    lines = dict(line.split(":") for line in Path("/proc/self/status").read_text().splitlines())
    return int(lines[name].split()[0]) * 1024
