"""An outage of the database is said in a sentence: 503, when to come again, and nothing changed."""

import json
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack
from datetime import datetime
from pathlib import Path

import psycopg
import pytest
from django.db import OperationalError, close_old_connections, connection
from django.test import Client, RequestFactory
from django.urls import reverse

from accounts.models import Membership
from accounts.throttling.threads import SHARES
from apitokens.models import APIToken
from config.database.outages import Outage, outage_of
from config.database.places import DatabasePlaces
from config.server.database_files import hold_database_files
from config.server.peppers import require_right_peppers
from config.views import server_error
from notifications.models import Notice
from tests.config.database.conftest import (
    API,
    CREATE,
    FORM,
    LIST,
    NEW,
    database_file,
    unavailable,
)
from tests.conftest import Api, Issue, is_on_postgresql
from tests.factories import ACCOUNT_ID


def raised(cause: Exception) -> Exception:
    error = OperationalError(str(cause))
    error.__cause__ = cause
    return error


def sqlite_error(code: int) -> sqlite3.Error:
    error = sqlite3.OperationalError("as SQLite says it")
    error.sqlite_errorcode = code
    return error


def transaction_timeout() -> psycopg.Error:
    error = psycopg.OperationalError("as PostgreSQL 17 says it")
    error.sqlstate = "25P04"
    return error


@pytest.mark.parametrize(
    ("cause", "outage"),
    [
        (psycopg.errors.LockNotAvailable(), Outage.BUSY),
        (psycopg.errors.QueryCanceled(), Outage.BUSY),
        (psycopg.errors.DeadlockDetected(), Outage.BUSY),
        (psycopg.errors.ReadOnlySqlTransaction(), Outage.READ_ONLY),
        (psycopg.errors.DiskFull(), Outage.FULL),
        (psycopg.errors.IdleInTransactionSessionTimeout(), Outage.BUSY),
        (transaction_timeout(), Outage.BUSY),
        (psycopg.errors.InvalidPassword(), Outage.AWAY),
        (psycopg.errors.InvalidCatalogName(), Outage.AWAY),
        (psycopg.errors.TooManyConnections(), Outage.AWAY),
        (psycopg.errors.AdminShutdown(), Outage.AWAY),
        (psycopg.OperationalError("connection refused"), Outage.AWAY),
        (sqlite_error(sqlite3.SQLITE_BUSY_SNAPSHOT), Outage.BUSY),
        (sqlite_error(sqlite3.SQLITE_PROTOCOL), Outage.BUSY),
        (sqlite_error(sqlite3.SQLITE_FULL), Outage.FULL),
        (sqlite_error(sqlite3.SQLITE_READONLY), Outage.READ_ONLY),
        (sqlite_error(sqlite3.SQLITE_IOERR_SHMSIZE), Outage.AWAY),
        (sqlite_error(sqlite3.SQLITE_ERROR), None),  # no such table
        (psycopg.errors.UndefinedTable(), None),
        (psycopg.errors.UniqueViolation(), None),
    ],
)
def test_outages_are_told_from_faults(cause: Exception, outage: Outage | None) -> None:
    assert outage_of(raised(cause)) is outage


def test_full_disk_is_an_outage_below_other_files_too() -> None:
    assert outage_of(OSError(28, "No space left on device")) is Outage.FULL
    assert outage_of(FileNotFoundError(2, "No such file")) is None


# --- Away ----------------------------------------------------------------------------------------


@pytest.mark.django_db(transaction=True)
def test_database_that_is_away_is_said_everywhere(
    browser: Client, issue: Issue, api: Api, administrator: Membership, away: Callable[[], None]
) -> None:
    token = api(issue(administrator).key)
    token.raise_request_exception = False
    away()

    for page in (LIST, "/profile/security/", "/operators/", "/no/such/page/"):
        assert "reach its database" in unavailable(browser.get(page))
    assert "reach its database" in unavailable(browser.post(CREATE, FORM))
    for answer in (
        token.get(API),
        token.post(API, NEW, format="json"),
        token.get("/iam/auth/verify"),
    ):
        assert json.loads(unavailable(answer))["code"] == "unavailable"
    assert json.loads(unavailable(browser.get("/healthz"))) == {"status": "unavailable"}


def test_page_about_it_speaks_the_language_of_the_browser() -> None:
    request = RequestFactory().get("/", headers={"Accept-Language": "de"})
    try:
        raise OperationalError
    except OperationalError:
        page = server_error(request).content.decode()
    assert 'lang="de"' in page
    assert "Datenbank" in page


# --- Read-only -----------------------------------------------------------------------------------


@pytest.fixture
def notice(administrator: Membership, now: datetime) -> Notice:
    """An entry of the Administrator's inbox that was not read yet."""
    return Notice.objects.create(
        user=administrator.user, account=administrator.account, kind="", title="", created_at=now
    )


@pytest.fixture
def read_only(transactional_db: None) -> Iterator[None]:
    """The database can only be read."""
    with connection.cursor() as cursor:
        cursor.execute("SET default_transaction_read_only = on")
    yield
    connection.close()


@pytest.mark.skipif(not is_on_postgresql(), reason="SQLite is not failed over")
@pytest.mark.django_db(transaction=True)
def test_read_only_database_is_read_and_its_connection_is_dropped(
    browser: Client, administrator: Membership, notice: Notice, read_only: None
) -> None:
    assert browser.get(LIST).status_code == 200
    followed = browser.get(reverse("notifications:follow", args=[ACCOUNT_ID, notice.pk]))
    assert followed.status_code == 302
    assert connection.connection is not None
    assert browser.get("/healthz").json()["status"] == "read only"

    assert "read-only" in unavailable(browser.post(CREATE, FORM))
    close_old_connections()  # as at the end of each request

    assert connection.connection is None
    assert "New API token created" in browser.post(CREATE, FORM).content.decode()


# --- SQLite --------------------------------------------------------------------------------------


@pytest.mark.skipif(is_on_postgresql(), reason="it is about the files of SQLite")
@pytest.mark.django_db(transaction=True)
def test_full_disk_keeps_nobody_from_reading(
    browser: Client,
    api: Api,
    issue: Issue,
    administrator: Membership,
    full_disk: Callable[[], AbstractContextManager[None]],
) -> None:
    token = api(issue(administrator).key)
    token.raise_request_exception = False
    serve = hold_database_files(lambda *_request: [])
    serve({}, None)  # the first request of a process that serves
    connection.close()

    with full_disk():
        good = token.get("/iam/auth/verify")
        page = browser.get(LIST)
        refused = browser.post(CREATE, FORM)
        refused_by_api = token.post(API, NEW, format="json")

    assert (good.status_code, page.status_code) == (200, 200)
    unavailable(refused)
    assert json.loads(unavailable(refused_by_api))["code"]
    assert APIToken.objects.count() == 1


@pytest.mark.skipif(is_on_postgresql(), reason="it is about the files of SQLite")
@pytest.mark.django_db(transaction=True)
def test_missing_file_is_said_and_none_is_made_in_its_place(
    browser: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = connection.settings_dict
    monkeypatch.setitem(settings, "OPTIONS", {**settings["OPTIONS"]})
    serve = hold_database_files(lambda *_request: [])
    connection.close()
    with monkeypatch.context() as volume:
        volume.setitem(settings, "NAME", str(tmp_path / "not mounted #1.sqlite3"))
        require_right_peppers(serve)  # asks the database as soon as the process starts
        serve({}, None)  # the first request
        unavailable(browser.get(LIST))
        unavailable(browser.get("/healthz"))
        connection.close()

    assert list(tmp_path.iterdir()) == []
    assert browser.get(LIST).status_code == 200


@pytest.mark.skipif(is_on_postgresql(), reason="PostgreSQL has bounds of its own")
@pytest.mark.django_db(transaction=True)
def test_connection_is_patient_again_after_the_request(browser: Client) -> None:
    """Who goes on with it, without a request, is not bounded."""

    def patience() -> int:
        with connection.cursor() as cursor:
            cursor.execute("PRAGMA busy_timeout")
            return int(cursor.fetchone()[0])

    usual = patience()
    assert browser.get(LIST).status_code == 200
    browser.get("/healthz")
    assert patience() == usual


@pytest.mark.skipif(is_on_postgresql(), reason="it is about the files of SQLite")
@pytest.mark.django_db(transaction=True)
def test_locked_file_is_said_and_verification_does_not_wait_for_it(
    browser: Client,
    api: Api,
    issue: Issue,
    administrator: Membership,
    monkeypatch: pytest.MonkeyPatch,
    places: DatabasePlaces,
) -> None:
    monkeypatch.setattr("config.database.limits.SQLITE_SECONDS", 0.05)
    key = issue(administrator).key
    other = sqlite3.connect(database_file(), isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    try:
        assert api(key).get("/iam/auth/verify").status_code == 200
        assert "someone else is changing" in unavailable(browser.post(CREATE, FORM))
        monkeypatch.setattr("config.database.limits.SQLITE_SECONDS", 25)  # and nobody waits so long
        connection.close()
        with ExitStack() as waiting:
            for _each in range(SHARES.patient):
                waiting.enter_context(places.take(is_patient=True))
            unavailable(browser.post(CREATE, FORM))
        assert browser.get(reverse("mfa_index")).status_code == 200
    finally:
        other.close()
    assert "New API token created" in browser.post(CREATE, FORM).content.decode()
