"""A client that asks too often is told to wait, at every entry point that reads the header."""

from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode
from wsgiref.util import setup_testing_defaults

import pytest
import time_machine
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from pytest_django import Settings

from accounts.authorization.actor import Actor, EntryPoint
from accounts.models import Membership
from apitokens import keys
from apitokens.keys import Key
from apitokens.models import APIToken, TokenUseDay
from apitokens.usage.flusher import UsageFlusher
from apitokens.verification.verifier_keys import issue_verifier
from config.wsgi import application
from tests.conftest import Api, Issue

pytestmark = pytest.mark.django_db

VERIFY, ME = "/iam/auth/verify", "/iam/clients/me"
ENTRY_POINTS = pytest.mark.parametrize("path", [VERIFY, ME])
UNKNOWN = keys.make(771_142_358)
OPERATOR = Actor.operator(through=EntryPoint.COMMAND)


@pytest.fixture(autouse=True)
def low_limits(settings: Settings) -> None:
    settings.REFUSAL_RATE = 3


@pytest.fixture(autouse=True)
def within_one_minute() -> Any:
    """Begin a minute, so that no test meets the end of one."""
    with time_machine.travel(datetime(2026, 5, 4, 12, 0, 1, tzinfo=UTC), tick=False):
        yield


@pytest.fixture
def now() -> datetime:
    return datetime(2026, 5, 4, 11, 0, tzinfo=UTC)


def be_refused(api: Api, times: int = 3, token: Key | str = UNKNOWN) -> None:
    for _time in range(times):
        assert api(token).get(ME).status_code == 401


def ask_the_wsgi_application(token: Key | str) -> tuple[str, dict[str, str]]:
    """Ask `/iam/auth/verify` as a server does. Returns status line and headers."""
    text = token.spell() if isinstance(token, Key) else token
    environ: dict[str, Any] = {"PATH_INFO": VERIFY, "HTTP_AUTHORIZATION": f"APIKey {text}"}
    environ |= {"HTTP_HOST": "localhost", "REMOTE_ADDR": "127.0.0.1"}
    setup_testing_defaults(environ)
    told: list[Any] = []
    for _part in application(environ, lambda *facts: told.extend(facts)):
        pass
    return told[0], dict(told[1])


@ENTRY_POINTS
def test_who_is_refused_too_often_is_told_to_wait(api: Api, path: str) -> None:
    be_refused(api)

    answer = api(UNKNOWN).get(path)

    assert (answer.status_code, answer.headers["Retry-After"]) == (429, "59")
    assert answer.json()["code"] == "too_many"


def test_refusals_at_all_doors_count_together(api: Api) -> None:
    assert [api(UNKNOWN).get(path).status_code for path in (VERIFY, ME, VERIFY)] == [401] * 3

    assert api(UNKNOWN).get(ME).status_code == 429


@pytest.mark.parametrize(
    "token", ["nonsense", UNKNOWN.spell()[:-1], "771142358"], ids=["nonsense", "cut", "id alone"]
)
@ENTRY_POINTS
def test_damaged_tokens_count_too(api: Api, path: str, token: str) -> None:
    be_refused(api, token=token)

    assert api(token).get(path).status_code == 429


def test_next_minute_begins_anew(api: Api) -> None:
    be_refused(api)

    with time_machine.travel(datetime(2026, 5, 4, 12, 1, tzinfo=UTC), tick=False):
        assert api(UNKNOWN).get(ME).status_code == 401


@ENTRY_POINTS
def test_busy_address_costs_no_query(api: Api, path: str) -> None:
    be_refused(api)

    with CaptureQueriesContext(connection) as queries:
        api(keys.make(99)).get(path)

    assert len(queries) == 0


@ENTRY_POINTS
def test_who_was_found_good_lately_is_answered_at_a_busy_address(
    api: Api, engineer: Membership, issue: Issue, settings: Settings, path: str
) -> None:
    settings.VERIFY_CACHE_SECONDS = 0
    good = issue(engineer).key
    api(good).get(path)
    be_refused(api)

    assert api(good).get(path).status_code == 200


@ENTRY_POINTS
def test_another_address_is_not_concerned(
    api: Api, engineer: Membership, issue: Issue, path: str
) -> None:
    be_refused(api)

    answer = api(issue(engineer).key).get(path, REMOTE_ADDR="192.0.2.8")

    assert answer.status_code == 200


def test_requests_without_a_token_are_not_counted(client: Client, api: Api) -> None:
    for _time in range(5):
        client.get(VERIFY)

    assert api(UNKNOWN).get(ME).status_code == 401


@ENTRY_POINTS
def test_token_that_is_used_too_often_is_told_to_wait(
    api: Api, engineer: Membership, issue: Issue, settings: Settings, path: str
) -> None:
    settings.TOKEN_RATE = 2
    good = issue(engineer).key
    assert [api(good).get(path).status_code for _time in range(2)] == [200] * 2

    answer = api(good).get(path)

    assert (answer.status_code, answer.headers["Retry-After"]) == (429, "59")


@pytest.mark.django_db(transaction=True)  # what a transaction reads is not kept in memory
def test_short_way_in_front_of_django_counts_uses_too(
    api: Api, engineer: Membership, issue: Issue, settings: Settings
) -> None:
    settings.TOKEN_RATE = 3
    good = issue(engineer).key
    api(good).get(VERIFY)  # from now on memory answers

    statuses = [ask_the_wsgi_application(good)[0] for _time in range(3)]

    assert statuses == ["200 OK"] * 2 + ["429 Too Many Requests"]


def test_short_way_in_front_of_django_says_how_long_to_wait() -> None:
    for _time in range(3):
        assert ask_the_wsgi_application("nonsense")[0] == "401 Unauthorized"

    status, headers = ask_the_wsgi_application("nonsense")

    assert (status, headers["Retry-After"]) == ("429 Too Many Requests", "59")


@ENTRY_POINTS
def test_other_tokens_are_not_concerned(
    api: Api, engineer: Membership, issue: Issue, settings: Settings, path: str
) -> None:
    settings.TOKEN_RATE = 1
    busy, other = issue(engineer).key, issue(engineer).key
    api(busy).get(path)
    api(busy).get(path)

    assert api(other).get(path).status_code == 200


def used(token: APIToken, usage_flusher: UsageFlusher) -> tuple[int, datetime | None]:
    """How often the page of the token says that it was used, and when last."""
    usage_flusher.end()
    token.refresh_from_db()
    days = TokenUseDay.objects.filter(token=token)
    return sum(days.values_list("count", flat=True)), token.last_used_at


@ENTRY_POINTS
def test_use_that_is_refused_is_no_use(
    api: Api,
    engineer: Membership,
    issue: Issue,
    settings: Settings,
    usage_flusher: UsageFlusher,
    now: datetime,
    path: str,
) -> None:
    settings.TOKEN_RATE = 1
    issued = issue(engineer)
    for second in range(5):
        with time_machine.travel(now + timedelta(seconds=second), tick=False):
            api(issued.key).get(path)

    assert used(issued.token, usage_flusher) == (1, now)


def test_introspection_that_is_refused_is_no_use(
    client: Client,
    engineer: Membership,
    issue: Issue,
    settings: Settings,
    usage_flusher: UsageFlusher,
    now: datetime,
) -> None:
    settings.TOKEN_RATE = 1
    issued = issue(engineer)
    verifier = issue_verifier(name="Storage", by=OPERATOR, at=now)
    for _time in range(5):
        client.post(
            "/iam/auth/introspect",
            urlencode({"token": issued.key.spell()}),
            content_type="application/x-www-form-urlencoded",
            headers={"Authorization": f"Bearer {verifier.key.spell('_')}"},
        )

    assert used(issued.token, usage_flusher)[0] == 1


@pytest.mark.django_db(transaction=True)  # what a transaction reads is not kept in memory
def test_use_that_is_refused_in_front_of_django_is_no_use(
    api: Api,
    engineer: Membership,
    issue: Issue,
    settings: Settings,
    usage_flusher: UsageFlusher,
) -> None:
    settings.TOKEN_RATE = 2
    issued = issue(engineer)
    api(issued.key).get(VERIFY)  # from now on memory answers
    for _time in range(4):
        ask_the_wsgi_application(issued.key)

    assert used(issued.token, usage_flusher)[0] == 2
