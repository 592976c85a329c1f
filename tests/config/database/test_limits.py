"""Requests do not wait for ever, verification does not wait at all, and others are left alone."""

import json
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import OperationalError, connection
from django.http import HttpResponse
from django.test import Client, RequestFactory
from pytest_django import Settings

from accounts.authorization.actor import Actor
from accounts.models import Account, Membership
from apitokens.models import APIToken
from apitokens.tokens import services as token_services
from apitokens.usage.flusher import UsageFlusher
from apitokens.verification.refusals import Refused
from apitokens.verification.verify import verify
from config.database import limits
from config.database.limits import limit_waits
from config.database.outages import Outage, outage_of
from tests.config.database.conftest import API, CREATE, FORM, LIST, NEW, Locked, unavailable
from tests.conftest import Api, Issue, is_on_postgresql

pytestmark = [
    pytest.mark.skipif(not is_on_postgresql(), reason="SQLite locks no rows"),
    pytest.mark.django_db(transaction=True),
]


def value_of(name: str) -> str:
    with connection.cursor() as cursor:
        cursor.execute(f"SHOW {name}")
        return str(cursor.fetchone()[0])


@pytest.mark.usefixtures("impatience")
def test_locked_account_is_said_and_waited_for_once(
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
        assert "others are changing" in unavailable(browser.post(CREATE, FORM))
        assert "lock timeout" in caplog.text
        caplog.clear()
        refused = json.loads(unavailable(token.post(API, NEW, format="json")))
        assert "could not obtain lock on row" in caplog.text  # as PostgreSQL says without a wait
        assert browser.get(LIST).status_code == 200

    assert "Nothing has changed" in refused["message"]
    assert refused["code"] == "busy"
    assert APIToken.objects.count() == 1
    assert token.post(API, NEW, format="json").status_code == 200


def test_statement_that_takes_too_long_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "_BOUNDS", ("SET LOCAL statement_timeout = '50ms'",))

    def slow(_request: Any) -> HttpResponse:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_sleep(%s)", [20])
        return HttpResponse()

    with pytest.raises(OperationalError) as ended:
        limit_waits(slow)(RequestFactory().get("/"))
    assert outage_of(ended.value) is Outage.BUSY


def test_bounds_end_with_the_request(account: Account) -> None:
    seen: list[Any] = []

    def view(_request: Any) -> HttpResponse:
        seen.append((value_of("lock_timeout"), value_of("statement_timeout")))
        seen.append(Account.objects.filter(pk=account.pk).update(name="Acme"))
        return HttpResponse()

    limit_waits(view)(RequestFactory().get("/"))

    assert seen == [("5s", "20s"), 1]  # and the answer is the statement's
    assert (value_of("lock_timeout"), value_of("statement_timeout")) == ("0", "0")


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
