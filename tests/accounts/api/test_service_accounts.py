"""Service accounts and handover by the API."""

from collections.abc import Callable
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

import pytest
from rest_framework.test import APIClient

from accounts.authorization.actor import Actor, EntryPoint
from accounts.members import services as members
from accounts.models import Account, Membership, ServiceAccount
from accounts.roles import Role
from accounts.users import services as users
from apitokens.models import APIToken
from apitokens.tokens import rotation
from tests.conftest import Api, Issue
from tests.factories import ACCOUNT_ID, service_account

pytestmark = pytest.mark.django_db

OPERATOR = Actor.operator(through=EntryPoint.COMMAND)
SERVICES = f"/iam/clients/{ACCOUNT_ID}/service_accounts"
TOKENS = f"/iam/clients/{ACCOUNT_ID}/tokens"
BASES = ("/iam/clients", "/iam/v2/clients")


@pytest.fixture
def caller(administrator: Membership, issue: Issue, api: Api) -> APIClient:
    return api(issue(administrator, role=Role.ADMINISTRATORS).key)


@pytest.fixture
def deploys(account: Account, engineer: Membership, now: datetime) -> ServiceAccount:
    return service_account(account, at=now, issuers=[engineer])


def address(service: ServiceAccount) -> str:
    return f"{SERVICES}/{service.membership.user_id}"


def post(client: APIClient, path: str, body: Any) -> Any:
    return client.post(path, body, format="json")


def test_administrator_makes_edits_switches_and_removes_one(
    caller: APIClient, engineer: Membership, user: Membership
) -> None:
    body: dict[str, Any] = {
        "name": "Deploys",
        "role": {"name": "Engineers"},
        "contact": engineer.user_id,
        "issuers": [engineer.user_id, str(user.user_id)],
    }
    made = post(caller, SERVICES, body)
    assert made.status_code == 200
    facts = made.json()
    assert facts["email"] == f"{facts['id']}@service-accounts.invalid"
    assert facts["issuers"] == sorted([engineer.user_id, user.user_id])
    assert (facts["contact"], facts["is_active"], facts["active_tokens"]) == (
        *(engineer.user_id, True, 0),
    )
    assert caller.get(SERVICES).json() == [facts]

    path = f"{SERVICES}/{facts['id']}"
    changes = {"name": "Purges", "contact": None, "contact_email": "ops@example.com"}
    edited = caller.patch(path, {**changes, "is_active": False}, format="json").json()
    pending = {"contact_email_status": "pending"}
    assert edited == {**facts, **changes, **pending, "is_active": False}
    assert caller.get(path).json() == edited
    assert caller.delete(path).status_code == 204
    assert caller.get(path).status_code == 404


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"name": ""}, "name"),
        ({"name": None}, "name"),
        ({"role": {"name": "Root"}}, "role"),
        ({"contact": 10**30}, "contact"),
        ({"contact": "x"}, "contact"),
        ({"contact": 1, "contact_email": "a@example.com"}, "contact"),
        ({"contact_email": "nobody"}, "contact_email"),
        ({"issuers": [999_999]}, "issuers"),
        ({"issuers": 5}, "issuers"),
        ({"issuers": ["²"]}, "issuers"),
    ],
)
def test_bad_request_names_its_field_and_makes_nothing(
    caller: APIClient, wrong: dict[str, Any], field: str
) -> None:
    answer = post(caller, SERVICES, {"name": "Deploys", "role": {"id": 5}, **wrong})

    assert answer.status_code == 400
    assert list(answer.json()["errors"]) == [field]
    assert not ServiceAccount.objects.exists()


def test_named_member_sees_it_and_changes_nothing(
    deploys: ServiceAccount, engineer: Membership, user: Membership, issue: Issue, api: Api
) -> None:
    named, other = (api(issue(member).key) for member in (engineer, user))

    assert [each["name"] for each in named.get(SERVICES).json()] == ["Deploys"]
    assert named.patch(address(deploys), {"name": "X"}, format="json").status_code == 403
    assert named.delete(address(deploys)).status_code == 403
    assert other.get(SERVICES).json() == []
    assert other.get(address(deploys)).status_code == 404
    assert post(other, SERVICES, {}).status_code == 403


def test_users_are_listed_without_it_and_it_cannot_be_reached_as_one(
    caller: APIClient, deploys: ServiceAccount
) -> None:
    user_id = deploys.membership.user_id

    assert user_id not in [each["id"] for each in caller.get("/iam/users").json()]
    assert caller.get(f"/iam/users/{user_id}").status_code == 404
    path = f"/iam/clients/{ACCOUNT_ID}/client-users/{user_id}"
    assert caller.delete(path).status_code == 404
    body = {"user_role": {"id": 1}}
    assert caller.put(path, body, format="json").status_code == 404


@pytest.mark.parametrize("base", BASES)
def test_token_for_it_is_created_by_its_id(
    caller: APIClient, deploys: ServiceAccount, base: str
) -> None:
    body: dict[str, Any] = {
        "name": "Purge",
        "exp_date": None,
        "client_user": {},
        "issuer": deploys.membership.user_id,
    }
    made = post(caller, f"{base}/{ACCOUNT_ID}/tokens", body).json()

    assert made["client_user"] == {
        "deleted": False,
        "user_id": deploys.membership.user_id,
        "user_name": "Deploys",
        "user_email": deploys.membership.user.email,
        "client_id": ACCOUNT_ID,
        "role": {"id": 5, "name": "Engineers"},  # what it may: less than the caller
        "service_account": True,
    }
    too_much = {**body, "client_user": {"role": {"id": 1}}}
    refused = post(caller, f"{base}/{ACCOUNT_ID}/tokens", too_much)
    assert refused.json()["errors"] == {
        "client_user": {"role": ["Can't create token with role Administrators"]}
    }


def test_issuer_is_a_service_account_that_the_caller_may_issue_for(
    deploys: ServiceAccount, user: Membership, engineer: Membership, issue: Issue, api: Api
) -> None:
    client = api(issue(user).key)

    for wrong in (deploys.membership.user_id, engineer.user_id, 10**30, 0):
        body: dict[str, Any] = {"name": "X", "exp_date": None, "client_user": {}, "issuer": wrong}
        answer = post(client, TOKENS, body)
        assert answer.status_code == 400
        assert answer.json()["errors"] == {
            "issuer": ["There is no such service account that you can issue API tokens for."]
        }
    own: dict[str, Any] = {"name": "X", "exp_date": None, "client_user": {}, "issuer": user.user_id}
    assert post(client, TOKENS, own).status_code == 200


def test_its_own_token_is_answered_about_itself(
    deploys: ServiceAccount, engineer: Membership, issue: Issue, api: Api, caller: APIClient
) -> None:
    body: dict[str, Any] = {
        "name": "Purge",
        "exp_date": None,
        "client_user": {},
        "issuer": deploys.membership.user_id,
    }
    client = api(post(caller, TOKENS, body).json()["token"])

    me = client.get("/iam/users/me")
    assert (me.status_code, me.json()["name"]) == (200, "Deploys")
    account = client.get("/iam/clients/me").json()
    assert account["currentUser"] == deploys.membership.user_id
    assert client.get("/iam/users").json() == []
    assert [each["name"] for each in client.get(TOKENS).json()] == ["Purge"]
    user_id = deploys.membership.user_id
    changes = {"name": "Renamed", "email": "me@example.com"}
    assert client.patch(f"/iam/users/{user_id}", changes, format="json").status_code == 404
    verified = client.get("/iam/auth/verify")
    assert verified["X-Auth-User-Id"] == str(user_id)


@pytest.mark.parametrize("base", BASES)
def test_tokens_are_handed_over(
    caller: APIClient,
    deploys: ServiceAccount,
    engineer: Membership,
    issue: Issue,
    api: Api,
    base: str,
) -> None:
    token, key = issue(engineer)
    path = f"{base}/{ACCOUNT_ID}/tokens/hand_over"
    body = {"tokens": [token.pk], "issuer": deploys.membership.user_id}

    answer = post(caller, path, body)

    assert answer.status_code == 200
    assert [each["client_user"]["user_name"] for each in answer.json()] == ["Deploys"]
    assert api(key).get("/iam/users/me").json()["name"] == "Deploys"
    assert post(caller, path, body).json() == []
    assert post(api(issue(engineer).key), path, body).status_code == 403


def test_handover_says_what_is_wrong(
    caller: APIClient,
    administrator: Membership,
    user: Membership,
    stranger: Membership,
    issue: Issue,
) -> None:
    token = issue(administrator, role=Role.ENGINEERS).token
    path = f"{TOKENS}/hand_over"

    for wrong in (stranger.user_id, 10**30):
        answer = post(caller, path, {"tokens": [token.pk], "issuer": wrong})
        assert answer.json()["errors"] == {
            "issuer": ["Choose a user or a service account of the account."]
        }
    weak = post(caller, path, {"tokens": [token.pk], "issuer": user.user_id})
    assert weak.status_code == 400
    assert "which is higher than the receiver's" in weak.json()["errors"]["issuer"][0]
    huge = {"tokens": [10**30, -1], "issuer": administrator.user_id}
    assert (post(caller, path, huge).status_code, post(caller, path, huge).json()) == (200, [])
    for tokens in ([], ["x"], None, [1] * 501):
        body = {"tokens": tokens, "issuer": administrator.user_id}
        assert post(caller, path, body).status_code == 400


MEANWHILE: dict[str, tuple[Callable[[APIToken, Membership, datetime], Any], str | None]] = {
    "token rotated": (
        lambda token, _to, at: rotation.rotate(token=token, by=OPERATOR, at=at),
        None,
    ),
    "receiver left": (
        lambda _token, to, at: members.remove_member(membership=to, by=OPERATOR, at=at),
        "Choose a user or a service account of the account.",
    ),
    "receiver deactivated": (
        lambda _token, to, at: users.deactivate_user(user=to.user, by=OPERATOR, at=at),
        "The receiver is deactivated, so these tokens would stop working. Choose another.",
    ),
    "receiver suspended": (
        lambda _token, to, at: Membership.objects.filter(pk=to.pk).update(
            sso_at=at, tokens_suspended_at=at
        ),
        "The receiver's API tokens are suspended, and these would be, too. Choose another.",
    ),
}


@pytest.mark.parametrize("meanwhile", MEANWHILE)
def test_handover_says_what_has_changed(
    caller: APIClient,
    administrator: Membership,
    user: Membership,
    issue: Issue,
    now: datetime,
    meanwhile: str,
) -> None:
    change, sentence = MEANWHILE[meanwhile]
    token = issue(administrator).token
    change(token, user, now)

    answer = post(caller, f"{TOKENS}/hand_over", {"tokens": [token.pk], "issuer": user.user_id})

    token.refresh_from_db()
    assert (token.issuer == user) is (sentence is None)
    assert sentence is None or answer.json()["errors"] == {"issuer": [sentence]}


def test_user_is_removed_and_their_tokens_are_handed_over(
    caller: APIClient, engineer: Membership, deploys: ServiceAccount, issue: Issue
) -> None:
    token = issue(engineer).token
    path = f"/iam/clients/{ACCOUNT_ID}/client-users/{engineer.user_id}"

    refused = caller.delete(path)
    assert (refused.status_code, refused.json()["message"]) == (
        *(403, "You can't remove the user as they have active tokens"),
    )
    for wrong in (engineer.user_id, 999_999):
        assert caller.delete(f"{path}?hand_over_to={wrong}").status_code == 400
    both = f"{path}?hand_over_to={deploys.membership.user_id}&delete_tokens=true"
    assert caller.delete(both).status_code == 400
    assert caller.delete(f"{path}?hand_over_to={deploys.membership.user_id}").status_code == 204

    assert APIToken.objects.get(pk=token.pk).issuer == deploys.membership


@pytest.mark.parametrize("value", ["1", "0", "yes", "on", "off", "t", "TRUE", "True", " true"])
def test_delete_tokens_is_true_or_false(caller: APIClient, user: Membership, value: str) -> None:
    path = f"/iam/clients/{ACCOUNT_ID}/client-users/{user.user_id}"
    answer = caller.delete(f"{path}?{urlencode({'delete_tokens': value})}")
    assert (answer.status_code, list(answer.json()["errors"])) == (400, ["delete_tokens"])
    assert caller.delete(f"{path}?delete_tokens=").status_code == 204


@pytest.mark.parametrize(
    "query",
    ["hand_over_to=", "hand_over_to=1&hand_over_to=1", "delete_tokens=false&delete_tokens=true"],
)
def test_removal_that_is_not_clear_removes_nobody(
    caller: APIClient, user: Membership, deploys: ServiceAccount, query: str
) -> None:
    for path in (
        f"/iam/clients/{ACCOUNT_ID}/client-users/{user.user_id}",
        address(deploys),
    ):
        answer = caller.delete(f"{path}?{query}")
        assert (answer.status_code, [*answer.json()["errors"]]) == (400, [query.split("=")[0]])
        assert caller.get(path).status_code == 200


def test_service_account_is_removed_with_its_tokens(
    caller: APIClient, deploys: ServiceAccount
) -> None:
    body: dict[str, Any] = {
        "name": "Purge",
        "exp_date": None,
        "client_user": {},
        "issuer": deploys.membership.user_id,
    }
    made = post(caller, TOKENS, body).json()
    refused = caller.delete(address(deploys))
    assert (refused.status_code, refused.json()["message"]) == (
        *(403, "You can't remove the service account as it has active tokens"),
    )

    assert caller.delete(f"{address(deploys)}?delete_tokens=true").status_code == 204

    gone = caller.get(f"{TOKENS}/{made['id']}").json()
    assert (gone["deleted"], gone["client_user"]["deleted"]) == (True, True)
