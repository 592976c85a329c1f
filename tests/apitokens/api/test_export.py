"""The list of tokens as a file, by the API: what the page's *Export* gives, to those who may."""

import csv
import io
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from rest_framework.test import APIClient

from accounts.models import Membership
from accounts.roles import Role
from apitokens.models import APIToken
from tests.accounts.jwt.conftest import log_in
from tests.conftest import Api, Issue, SignIn
from tests.factories import ACCOUNT_ID

pytestmark = pytest.mark.django_db

URL = f"/iam/clients/{ACCOUNT_ID}/tokens/export.csv"
URL_V2 = URL.replace("/iam/", "/iam/v2/")
PAGE = f"/accounts/{ACCOUNT_ID}/api-tokens/export.csv"


@pytest.fixture
def caller(administrator: Membership, issue: Issue, api: Api) -> APIClient:
    return api(issue(administrator, name="Caller", role=Role.ADMINISTRATORS).key)


def text(answer: Any) -> str:
    assert (answer.status_code, answer.streaming) == (200, True)
    return b"".join(answer.streaming_content).decode()


def lines(caller: APIClient, **query: Any) -> list[dict[str, str]]:
    file = text(caller.get(URL, query)).removeprefix("\ufeff")
    return list(csv.DictReader(io.StringIO(file)))


def names(caller: APIClient, **query: Any) -> list[str]:
    return [line["name"] for line in lines(caller, **query)]


@pytest.fixture
def many(user: Membership, administrator: Membership, issue: Issue, now: datetime) -> None:
    """Tokens of every kind that a filter tells from others."""
    before = now - timedelta(days=200)
    issue(user, name="Old", at=before)
    issue(user, name="Expired", at=before, expires_at=before + timedelta(days=9))
    issue(user, name="Soon", expires_at=now + timedelta(days=5), description="=1+1")
    gone = issue(administrator, name="Gone", role=Role.ENGINEERS).token
    APIToken.objects.filter(pk=gone.pk).update(deleted_at=now)
    APIToken.objects.filter(name="Soon").update(last_used_at=now)


@pytest.mark.both
@pytest.mark.parametrize(
    "query",
    [
        *({}, {"status": "all"}, {"status": "deleted"}, {"status": "expiring"}, {"q": "soon"}),
        *({"status": "unended"}, {"last_used": "never"}, {"last_used": "90"}, {"expires": "7"}),
        *({"expires": "never"}, {"signs_in_by": "sso"}, {"sort": "name"}, {"sort": "-issued_by"}),
        *(
            {"q": " soon "},
            {"q": " "},
            {"status": "", "q": "", "sort": "", "expires": ""},
            {"role": "2"},
        ),
    ],
)
def test_file_is_that_of_the_page(
    client: Client,
    administrator: Membership,
    sign_in: SignIn,
    many: None,
    query: dict[str, str],
) -> None:
    access = log_in(administrator.user.email).json()["access"]  # its use changes no token
    caller = APIClient(headers={"Authorization": f"Bearer {access}"})
    sign_in(client, administrator)
    page = text(client.get(PAGE, query))
    assert page.count("\r\n") > (1 if "sso" not in query.values() else 0)
    assert text(caller.get(URL, query)) == page
    assert text(caller.get(URL_V2, query)) == page


def test_answer_is_a_file_that_nobody_keeps(caller: APIClient, now: datetime) -> None:
    answer = caller.get(URL)
    assert answer["Content-Type"] == "text/csv; charset=utf-8"
    assert answer["Content-Disposition"] == f'attachment; filename="api-tokens-{now:%Y-%m-%d}.csv"'
    assert "no-store" in answer["Cache-Control"]


def test_roles_and_issuers_are_named_as_in_the_list(
    caller: APIClient, administrator: Membership, user: Membership, many: None
) -> None:
    assert names(caller, role="Administrators") == names(caller, role="1") == ["Caller"]
    assert names(caller, role="Kings") == []
    assert names(caller, issued_by=user.user_id, sort="name") == ["Old", "Soon"]
    assert names(caller, not_issued_by=user.user_id) == ["Caller"]
    assert names(caller, issued_by="9" * 40) == []


def test_others_get_a_file_of_their_own_tokens(
    user: Membership, stranger: Membership, issue: Issue, api: Api, many: None
) -> None:
    issue(stranger, name="Elsewhere")
    caller = api(issue(user, name="Own").key)
    assert sorted(names(caller, status="all")) == ["Expired", "Old", "Own", "Soon"]
    elsewhere = api(issue(stranger).key).get(URL)
    assert (elsewhere.status_code, elsewhere.json()) == (404, {"message": "Account not found."})


def test_file_has_no_secrets_and_no_formulas(
    caller: APIClient, user: Membership, issue: Issue
) -> None:
    token, key = issue(user, name="@SUM(1)", description="=1+1")
    token.refresh_from_db()
    assert token.digest is not None
    file = text(caller.get(URL))
    assert key.secret not in file
    assert bytes(token.digest).hex() not in file
    assert ('"\'@SUM(1)"' in file, '"\'=1+1"' in file) == (True, True)


def test_file_costs_the_same_queries_for_any_number_of_tokens(
    caller: APIClient, user: Membership, issue: Issue
) -> None:
    def queries(count: int) -> int:
        for _each in range(count):
            issue(user)
        with CaptureQueriesContext(connection) as captured:
            assert lines(caller)
        return len(captured)

    queries(1)
    assert queries(10) == queries(1)


@pytest.mark.parametrize("accept", ["text/csv", "text/csv; q=0.9", "text/*", "*/*"])
def test_client_that_accepts_only_the_file_gets_it_and_refusals_in_json(
    caller: APIClient, accept: str
) -> None:
    assert caller.get(URL, headers={"Accept": accept})["Content-Type"].startswith("text/csv")
    refused = caller.get(f"{URL}?status=asleep", headers={"Accept": accept})
    assert (refused.status_code, refused["Content-Type"]) == (400, "application/json")
    assert list(refused.json()["errors"]) == ["status"]
    assert caller.get(URL, headers={"Accept": "image/png"}).status_code == 406


@pytest.mark.both
@pytest.mark.parametrize(
    "query",
    [
        *(
            "status=asleep",
            "status=Active",
            "status=%00",
            "sort=secret",
            "sort=name,id",
            "sort=--id",
        ),
        *("last_used=1", "last_used=-30", "expires=tomorrow", "signs_in_by=magic", "issued_by=me"),
        *("issued_by=1.0", "issued_by=%00", "not_issued_by=x", "q=%00", f"q={'x' * 256}"),
        *("status=all&status=active", "q=a&q=b", "sort=id&sort=id", f"status={'x' * 5000}"),
    ],
)
def test_filter_that_makes_no_sense_gives_no_file(caller: APIClient, query: str) -> None:
    answer = caller.get(f"{URL}?{query}")
    assert (answer.status_code, answer["Content-Type"]) == (400, "application/json")
    name = query.partition("=")[0]
    assert list(answer.json()["errors"]) == [name]


@pytest.mark.both
@pytest.mark.parametrize(
    "query", ["%FF=%FF", "q=%ED%A0%80", "role=%00", "q=%25", "q=_", "&&&", "%"]
)
def test_broken_query_is_no_fault_of_ours(caller: APIClient, query: str) -> None:
    assert caller.get(f"{URL}?{query}").status_code in (200, 400)
