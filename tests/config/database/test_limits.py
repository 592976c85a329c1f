"""Requests do not wait for ever, verification does not wait at all, and others are left alone."""

import json
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from datetime import datetime, timedelta
from typing import Any, NamedTuple

import pytest
from django.db import OperationalError, connection, transaction
from django.http import HttpResponse
from django.templatetags.static import static
from django.test import Client, RequestFactory
from django.urls import reverse
from pytest_django import Settings

from accounts.authorization.actor import Actor
from accounts.authorization.recheck import lock_account
from accounts.models import Account, Membership
from accounts.roles import Role
from accounts.throttling.threads import SHARES
from apitokens import keys
from apitokens.models import APIToken
from apitokens.tokens import services as token_services
from apitokens.usage.flusher import UsageFlusher
from apitokens.verification.refusals import Refused
from apitokens.verification.verify import verify
from config.database import limits, log_lines
from config.database.limits import brief_waits, limit_waits
from config.database.outages import Outage, outage_of
from config.database.places import DatabasePlaces
from notifications import jobs
from tests.config.database.conftest import (
    API,
    CREATE,
    FORM,
    LIST,
    NEW,
    Locked,
    another_connection,
    unavailable,
)
from tests.conftest import Api, Issue, SignIn, is_on_postgresql
from tests.factories import AccountFactory, MembershipFactory

pytestmark = [
    pytest.mark.skipif(not is_on_postgresql(), reason="SQLite locks no rows"),
    pytest.mark.django_db(transaction=True),
]


SETTINGS = ("lock_timeout", "statement_timeout", "jit")


def value_of(name: str) -> str:
    with connection.cursor() as cursor:
        cursor.execute(f"SHOW {name}")
        return str(cursor.fetchone()[0])


@pytest.mark.usefixtures("impatience")
def test_locked_account_is_said(
    browser: Client,
    administrator: Membership,
    issue: Issue,
    api: Api,
    locked: Locked,
    caplog: pytest.LogCaptureFixture,
) -> None:
    token = api(issue(administrator).key)
    token.raise_request_exception = False
    with locked("accounts_account", administrator.account_id):
        assert "someone else is changing" in unavailable(browser.post(CREATE, FORM))
        assert "lock timeout" in caplog.text
        refused = json.loads(unavailable(token.post(API, NEW, format="json")))
        assert browser.get(LIST).status_code == 200

    assert "Nothing was changed" in refused["message"]
    assert refused["code"] == "busy"
    assert APIToken.objects.count() == 1
    assert token.post(API, NEW, format="json").status_code == 200


def test_statement_that_takes_too_long_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "_PATIENT", ("SET LOCAL statement_timeout = '50ms'",))

    def slow(_request: Any) -> HttpResponse:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_sleep(%s)", [20])
        return HttpResponse()

    with pytest.raises(OperationalError) as ended:
        limit_waits(slow)(RequestFactory().get("/"))
    assert outage_of(ended.value) is Outage.BUSY


def test_bounds_end_with_the_request(account: Account) -> None:
    seen: list[Any] = []
    usual = tuple(map(value_of, SETTINGS))

    def view(_request: Any) -> HttpResponse:
        seen.append(tuple(map(value_of, SETTINGS)))
        seen.append(Account.objects.filter(pk=account.pk).update(name="Acme"))
        return HttpResponse()

    limit_waits(view)(RequestFactory().get("/"))

    assert seen == [("5s", "20s", "off"), 1]  # and the answer is the statement's
    assert tuple(map(value_of, SETTINGS)) == usual


def test_job_does_not_wait_for_one_locked_account(
    account: Account, locked: Locked, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "LOCK_SECONDS", 0.05)
    other: Account = AccountFactory.create()
    seen: list[Any] = []

    @transaction.atomic
    def act(account_id: int) -> int:
        seen.append((account_id, value_of("lock_timeout")))
        lock_account(account_id)
        return 1

    with locked("accounts_account", account.pk), connection.cursor() as mine:
        mine.execute("SET lock_timeout = '5s'")  # what is not bounded ends by this
        with pytest.raises(jobs.SomeFailed, match=r"^1 failed"):
            jobs.for_each([account.pk, other.pk], act)
    connection.close()

    assert seen == [(account.pk, "50ms"), (other.pk, "50ms")]


def test_others_wait_for_a_moment_only_while_many_wait_for_any_lock(
    account: Account, places: DatabasePlaces
) -> None:
    seen: list[Any] = []

    def view(_request: Any) -> HttpResponse:
        seen.append(tuple(map(value_of, SETTINGS)))
        return HttpResponse()

    with ExitStack() as waiting:
        for _each in range(SHARES.patient):
            waiting.enter_context(places.take(is_patient=True))
        limit_waits(view)(RequestFactory().get("/"))
    assert seen == [("50ms", "1s", "off")]


def test_what_needs_no_database_goes_on_while_it_hangs(
    browser: Client,
    api: Api,
    issue: Issue,
    administrator: Membership,
    places: DatabasePlaces,
) -> None:
    token = api(issue(administrator).key)
    token.raise_request_exception = False
    assert places.all.enter()  # of a request that hangs
    with ExitStack() as waiting:
        for _each in range(SHARES.with_database - 1):
            waiting.enter_context(places.take(is_patient=False))
        unavailable(browser.get(LIST))
        unavailable(browser.get("/healthz"))
        refused = json.loads(unavailable(token.get("/iam/auth/verify")))
        assert browser.get(static("css/base.css")).status_code == 200
    assert refused["code"] == "busy"


def test_what_is_asked_without_middleware_is_bounded_too(
    api: Api,
    issue: Issue,
    administrator: Membership,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(limits, "_BRIEF", ("SET LOCAL statement_timeout = '50ms'",))
    monkeypatch.setattr(log_lines, "EVERY", 0)
    client = api(issue(administrator).key)
    client.raise_request_exception = False
    kept: Any = connection  # its stubs know nothing of checks
    kept.health_check_enabled, kept.health_check_done = True, False

    bearer = {"Authorization": f"Bearer {keys.make(1, keys.VERIFIER).spell()}"}
    with another_connection() as other, connection.cursor() as mine:
        mine.execute("SET lock_timeout = '5s'")  # what is not bounded ends by this
        other.execute("LOCK TABLE apitokens_apitoken, apitokens_verifierkey, notifications_mail")
        unavailable(client.get("/healthz"))
        with brief_waits():  # somebody else asks, too
            unavailable(client.get("/iam/auth/verify"))
            client.credentials()
            unavailable(client.post("/iam/auth/introspect", headers=bearer))
    connection.close()

    assert caplog.text.count("statement timeout") >= 3
    assert "lock timeout" not in caplog.text


def test_locked_token_is_verified(
    administrator: Membership,
    issue: Issue,
    locked: Locked,
    usage_flusher: UsageFlusher,
    now: datetime,
) -> None:
    """Its first use waits in memory."""
    token, key = issue(administrator)
    with locked("apitokens_apitoken", token.pk):
        assert verify(presented=key.spell(), at=now).token_id == token.pk
    assert len(usage_flusher.buffer.pop_all()) == 1


def test_locked_token_is_refused_and_renewed_without_a_wait(
    administrator: Membership, issue: Issue, locked: Locked, now: datetime, settings: Settings
) -> None:
    ended, of_old_pepper = issue(administrator), issue(administrator)
    by = Actor.member(administrator)
    token_services.delete(token=ended.token, by=by, at=now)
    verify(presented=of_old_pepper.key.spell(), at=now)
    settings.VERIFY_CACHE_SECONDS = 0
    settings.TOKEN_PEPPERS = {2: bytes(32), **settings.TOKEN_PEPPERS}

    with locked("apitokens_apitoken", ended.token.pk), pytest.raises(Refused):
        verify(presented=ended.key.spell(), at=now)
    with locked("apitokens_apitoken", of_old_pepper.token.pk):
        later = now + timedelta(seconds=2)
        assert verify(presented=of_old_pepper.key.spell(), at=later).token_id


WAITING_ON_A_LOCK = """
    SELECT count(*) FROM pg_stat_activity
    WHERE datname = current_database() AND wait_event_type = 'Lock'
"""
CROWD = 4
ROWS = ("account", "user", "membership")


class Change(NamedTuple):
    """A form that changes a row of the Administrator's, and that row."""

    table: str
    row: int
    path: str
    form: dict[str, str]


@pytest.fixture
def change(administrator: Membership, request: pytest.FixtureRequest) -> Change:
    account_id, user_id = administrator.account_id, administrator.user_id
    MembershipFactory.create(account=administrator.account)  # or nobody would be left
    profile = {"name": "New", "phone": "", "language": "en", "time_zone": "UTC"}
    role = reverse("accounts:change_role", args=[account_id, user_id])
    row, path, form = {
        "account": (account_id, reverse("accounts:account", args=[account_id]), {"name": "New"}),
        "user": (user_id, reverse("accounts:profile"), profile),
        "membership": (administrator.pk, role, {"role": str(Role.ENGINEERS.value)}),
    }[request.param]
    return Change(f"accounts_{request.param}", row, path, form)


@pytest.mark.parametrize("change", ROWS, indirect=True)
def test_tokens_are_verified_while_a_crowd_waits_for_a_row_of_their_issuer(
    administrator: Membership,
    issue: Issue,
    api: Api,
    sign_in_now: SignIn,
    locked: Locked,
    change: Change,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Each verification asks the database, and has its answer before anybody of the crowd has."""
    monkeypatch.setattr(limits, "_PATIENT", ("SET LOCAL lock_timeout = '60s'",))
    settings.VERIFY_CACHE_SECONDS = 0
    client, browser = api(issue(administrator).key), Client(raise_request_exception=False)
    sign_in_now(browser, administrator)

    def send() -> int:
        try:
            own = Client(raise_request_exception=False)
            own.cookies, own.handler = browser.cookies, browser.handler  # it is loaded
            return own.post(change.path, change.form).status_code
        finally:
            connection.close()

    with ThreadPoolExecutor(CROWD) as crowd:
        with locked(change.table, change.row), another_connection() as witness:
            waiting = [crowd.submit(send) for _each in range(CROWD)]
            witness.autocommit = True
            while witness.execute(WAITING_ON_A_LOCK).fetchone() != (CROWD,):
                assert not any(each.done() for each in waiting)
            for _each in range(5):
                assert client.get("/iam/auth/verify").status_code == 200
                assert client.get("/iam/clients/me").status_code == 200
            assert not any(each.done() for each in waiting)
        assert 302 in {each.result() for each in waiting}


@pytest.mark.usefixtures("impatience")
@pytest.mark.parametrize("change", ROWS, indirect=True)
def test_who_waits_too_long_for_a_row_is_told(
    administrator: Membership, sign_in_now: SignIn, locked: Locked, change: Change
) -> None:
    browser = Client(raise_request_exception=False)
    sign_in_now(browser, administrator)

    with locked(change.table, change.row):
        answer = browser.post(change.path, change.form)

    assert "someone else is changing" in unavailable(answer)
    assert browser.post(change.path, change.form).status_code == 302
