"""Every list of the API comes whole up to a bound, and in pages by `limit` and `offset`."""

from datetime import datetime
from typing import Any

import pytest
from rest_framework.test import APIClient

from accounts.api import pagination
from accounts.authorization.actor import Actor
from accounts.models import Membership
from accounts.roles import Role
from apitokens.api import views
from apitokens.scopes.services import ScopeFacts, register
from tests.conftest import Api, Issue
from tests.factories import ACCOUNT_ID, MembershipFactory, service_account

pytestmark = pytest.mark.django_db

LISTS = (
    "/iam/users",
    f"/iam/clients/{ACCOUNT_ID}/tokens",
    f"/iam/v2/clients/{ACCOUNT_ID}/tokens",
    f"/iam/clients/{ACCOUNT_ID}/service_accounts",
    f"/iam/clients/{ACCOUNT_ID}/services",
)
LOGINS = "/iam/activity_log/logins"
WRONG = (
    *("limit=0", "limit=-1", "limit=1e3", "limit=+1", "limit=%D9%A1", "limit=" + "9" * 2_900),
    *("offset=-1", "offset=x", "offset=2147483649", "limit=1&limit=2", "offset=1&offset=1"),
)


@pytest.fixture
def caller(administrator: Membership, issue: Issue, api: Api, now: datetime) -> APIClient:
    """An Administrator whose every list has at least three entries."""
    account, by = administrator.account, Actor.member(administrator)
    MembershipFactory.create_batch(3, account=account)
    for code in ("a", "b", "c"):
        scopes = [ScopeFacts("read", "Read")]
        register(account=account, code=code, name=code, scopes=scopes, by=by, at=now)
        service_account(account, at=now, name=code)
        issue(administrator)
    return api(issue(administrator, role=Role.ADMINISTRATORS).key)


@pytest.mark.parametrize("path", LISTS)
def test_pages_of_a_list_are_the_list(caller: APIClient, path: str) -> None:
    whole = caller.get(path).json()
    found: list[Any] = []
    following = f"{path}?limit=2"
    while following:
        page = caller.get(following).json()
        assert page["count"] == len(whole)
        found += page["results"]
        following = page["next"]
    assert found == whole
    assert len(whole) >= 3


@pytest.mark.parametrize("path", LISTS)
def test_list_beyond_the_bound_is_refused_with_a_sentence_that_tells_of_limit(
    caller: APIClient, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    for module in (pagination, views):
        monkeypatch.setattr(module, "MOST_AT_ONCE", 2)
    refused = caller.get(path)
    sentence = "There are more than 2. Ask for them in pages: add limit, up to 1,000, and offset."
    assert (refused.status_code, refused.json()["errors"]) == (400, {"limit": [sentence]})
    assert caller.get(f"{path}?limit=1").status_code == 200


@pytest.mark.parametrize("path", [*LISTS, LOGINS])
def test_page_that_makes_no_sense_is_refused_and_one_behind_the_end_is_empty(
    caller: APIClient, path: str
) -> None:
    for query in WRONG:
        refused = caller.get(f"{path}?{query}")
        assert refused.status_code == 400, query
        assert set(refused.json()["errors"]) <= {"limit", "offset"}
    far = caller.get(f"{path}?offset=2147483648").json()
    assert (far.get("results", far.get("result")), far["next"]) == ([], None)


def test_bound_is_that_of_the_description() -> None:
    assert pagination.MOST_AT_ONCE == 10_000
