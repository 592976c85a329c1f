"""The official clients, validating strictly, read tokens that they know nothing of (of a service
account, limited to scopes, limited to addresses) as they read any other, and work with them."""

from datetime import datetime
from typing import Any

import pytest

from accounts.authorization.actor import Actor
from accounts.models import Membership
from accounts.roles import Role
from apitokens.models import APIToken
from apitokens.tokens.services import Issued
from tests.conftest import Issue
from tests.contract.conftest import OfficialClient
from tests.factories import service_account

pytestmark = [pytest.mark.contract, pytest.mark.django_db(transaction=True)]

ENGINEERS = {"id": 5, "name": "Engineers"}
ADDRESSES = ["127.0.0.1", "2001:db8::/48"]


@pytest.fixture
def issued(administrator: Membership, issue: Issue, now: datetime) -> dict[str, Issued]:
    """Tokens of all kinds, by their names; the first is like those of old."""
    issuer = service_account(administrator.account, name="Deploys", at=now).membership
    kinds: dict[str, tuple[Membership, dict[str, Any]]] = {
        "Plain": (administrator, {}),
        "Of a service account": (issuer, {"by": Actor.member(administrator)}),
        "With scopes": (administrator, {"scopes": ["tokens:read"]}),
        "With addresses": (administrator, {"allowed_addresses": ADDRESSES}),
    }
    return {
        name: issue(member, name=name, role=Role.ENGINEERS, **facts)
        for name, (member, facts) in kinds.items()
    }


def answer(official: OfficialClient, call: str, *args: Any, **facts: Any) -> Any:
    outcome = official.call(call, *args, **facts)
    assert outcome.error is None, outcome.text
    return outcome.answer


def test_all_are_read_alike(
    official: OfficialClient, administrator: Membership, issue: Issue, issued: dict[str, Issued]
) -> None:
    official.use(issue(administrator, name="Caller", role=Role.ADMINISTRATORS).key)
    listed = answer(official, "iam.api_tokens.list", administrator.account_id)
    by_name = {each["name"]: each for each in listed}
    plain = by_name["Plain"]
    for name, (token, _key) in issued.items():
        asked = {"client_id": administrator.account_id}
        one = answer(official, "iam.api_tokens.get", token.pk, **asked)
        assert one == by_name[name]
        assert one.keys() == plain.keys()
        assert one["client_user"].keys() == plain["client_user"].keys()
        assert one["client_user"]["role"] == ENGINEERS
        assert one["client_user"]["client_id"] == administrator.account_id


def test_issuer_of_a_service_accounts_token_is_a_valid_user(
    official: OfficialClient, administrator: Membership, issue: Issue, issued: dict[str, Issued]
) -> None:
    official.use(issue(administrator, name="Caller", role=Role.ADMINISTRATORS).key)
    token = issued["Of a service account"].token
    asked = {"client_id": administrator.account_id}
    user = answer(official, "iam.api_tokens.get", token.pk, **asked)["client_user"]
    assert {**user, "user_email": None} == {
        "deleted": False,
        "user_id": token.issuer.user_id,
        "user_name": "Deploys",
        "user_email": None,
        "service_account": True,
        "client_id": administrator.account_id,
        "role": ENGINEERS,
    }
    assert "@" in user["user_email"]
    people = answer(official, "iam.users.list")["results"]
    assert [each["id"] for each in people] == [administrator.user_id]


@pytest.mark.parametrize("name", ["Of a service account", "With scopes", "With addresses"])
def test_client_works_with_it(
    official: OfficialClient, administrator: Membership, issued: dict[str, Issued], name: str
) -> None:
    token, key = issued[name]
    official.use(key)
    listed = answer(official, "iam.api_tokens.list", administrator.account_id)
    visible = APIToken.objects.filter(issuer=token.issuer).order_by("pk")
    assert sorted(each["id"] for each in listed) == [each.pk for each in visible]


def test_account_is_told_to_a_service_account(
    official: OfficialClient, issued: dict[str, Issued]
) -> None:
    token, key = issued["Of a service account"]
    official.use(key)
    account = answer(official, "iam.get_account_overview")
    assert (account["id"], account["currentUser"]) == (token.account_id, token.issuer.user_id)


@pytest.mark.parametrize("code", ["scope_missing", "address_not_allowed"], ids=["scope", "address"])
def test_what_it_may_not_is_refused_once_and_in_words(
    official: OfficialClient, administrator: Membership, issue: Issue, code: str
) -> None:
    limits = {
        "scope_missing": {"scopes": ["users:read"]},
        "address_not_allowed": {"allowed_addresses": ["192.0.2.1"]},
    }
    official.use(issue(administrator, **limits[code]).key)
    outcome = official.call("iam.api_tokens.list", administrator.account_id)
    assert (outcome.error, outcome.status) == ("PermissionDeniedError", 403)
    assert (outcome.body["code"], outcome.requests) == (code, 1)
    assert outcome.body["message"] in outcome.text
