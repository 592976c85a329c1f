"""Editing and rotating API tokens by the API, both versions alike."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from rest_framework.test import APIClient

from accounts.models import Membership
from accounts.roles import Role
from apitokens.models import APIToken, OldSecret
from tests.conftest import Api, Issue

pytestmark = pytest.mark.django_db

VERSIONS = [("/iam/clients", "$"), ("/iam/v2/clients", "_")]


@pytest.fixture
def caller(administrator: Membership, issue: Issue, api: Api) -> APIClient:
    return api(issue(administrator, role=Role.ADMINISTRATORS).key)


def address(token: APIToken, base: str = VERSIONS[0][0], more: str = "") -> str:
    return f"{base}/{token.account_id}/tokens/{token.pk}{more}"


def wire(at: datetime) -> str:
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def old_of(client: APIClient, token: APIToken) -> Any:
    return client.get(address(token)).json()["old_secret"]


@pytest.mark.parametrize(("base", "separator"), VERSIONS)
def test_rotation_shows_the_new_secret_once_under_the_same_id(
    caller: APIClient, user: Membership, issue: Issue, api: Api, base: str, separator: str
) -> None:
    token, key = issue(user)
    answer = caller.post(address(token, base, "/rotate"), {}, format="json")
    body = answer.json()

    assert answer.status_code == 200
    assert answer["Cache-Control"] == "no-store"
    assert body["token"].startswith(f"{token.pk}{separator}")
    assert (body["id"], body["rotations"], body["old_secret"]["works"]) == (token.pk, 1, True)
    for secret in (body["token"], key):
        assert api(secret).get(address(token, base)).status_code == 200
    assert "token" not in caller.get(address(token, base)).json()


@pytest.mark.parametrize("hours", [0, 1, 24, 168])
def test_old_secret_goes_on_for_the_hours_that_were_chosen(
    caller: APIClient, user: Membership, issue: Issue, hours: int
) -> None:
    token, _key = issue(user)
    body = caller.post(
        address(token, more="/rotate"), {"old_secret_hours": hours}, format="json"
    ).json()
    rotated = datetime.fromisoformat(body["rotated"])
    ends = datetime.fromisoformat(body["old_secret"]["works_until"])
    assert ends - rotated == timedelta(hours=hours)
    assert body["old_secret"]["works"] == bool(hours)


def test_token_rotates_itself_and_its_old_secret_does_not(
    user: Membership, issue: Issue, api: Api
) -> None:
    token, key = issue(user)
    body = api(key).post(address(token, more="/rotate"), {}, format="json").json()
    again = api(key).post(address(token, more="/rotate"), {}, format="json")
    assert again.status_code == 403
    assert again.json()["message"].startswith("You act with the old secret")
    assert "ask an Administrator to rotate it" in again.json()["message"]
    assert api(body["token"]).post(address(token, more="/rotate")).json()["rotations"] == 2


def test_repeated_request_rotates_once(caller: APIClient, user: Membership, issue: Issue) -> None:
    token, _key = issue(user)
    answers = [
        caller.post(address(token, more="/rotate"), {"rotations": 0}, format="json")
        for _time in range(2)
    ]
    assert [answer.status_code for answer in answers] == [200, 400]
    assert "rotated in the meantime" in answers[1].json()["errors"]["errors"][0]
    assert old_of(caller, token)["works"]


BAD: dict[str, list[Any]] = {
    "old_secret_hours": [2, "24", None, True, -1, 1e300, [], {}],
    "rotations": [-1, "0", None, True, 0.5, 10**30, []],
    "exp_date": ["tomorrow", 5, "2020-01-01T00:00:00Z", []],
}


@pytest.mark.parametrize("field", BAD)
def test_bad_rotation_changes_nothing(
    caller: APIClient, user: Membership, issue: Issue, field: str
) -> None:
    token, _key = issue(user)
    for bad in BAD[field]:
        answer = caller.post(address(token, more="/rotate"), {field: bad}, format="json")
        assert (answer.status_code, list(answer.json()["errors"])) == (400, [field]), bad
    assert caller.get(address(token)).json()["rotations"] == 0


@pytest.mark.parametrize(("base", "_separator"), VERSIONS)
def test_ending_the_old_secret_leaves_the_new_one(
    caller: APIClient, user: Membership, issue: Issue, api: Api, base: str, _separator: str
) -> None:
    token, key = issue(user)
    new = caller.post(address(token, base, "/rotate")).json()["token"]
    for _time in range(2):  # again is no mistake
        assert caller.delete(address(token, base, "/old_secret")).status_code == 204
    refused = api(key).get(address(token, base))
    assert (refused.status_code, refused.json()["code"]) == (401, "rotated")
    assert api(new).get(address(token, base)).status_code == 200
    assert not old_of(caller, token)["works"]


@pytest.mark.parametrize(("base", "_separator"), VERSIONS)
def test_old_secret_tells_when_and_from_where_it_was_last_used(
    caller: APIClient, user: Membership, issue: Issue, now: datetime, base: str, _separator: str
) -> None:
    token, _key = issue(user)
    caller.post(address(token, base, "/rotate"))
    never = old_of(caller, token)
    OldSecret.objects.update(last_used_at=now, last_used_address="2001:db8::7")
    used = caller.get(address(token, base)).json()["old_secret"]

    assert (never["last_usage"], never["last_usage_address"]) == ("", "")
    assert (used["last_usage"], used["last_usage_address"]) == (wire(now), "2001:db8::7")


@pytest.mark.parametrize(("base", "_separator"), VERSIONS)
def test_edit_changes_what_is_sent_and_nothing_else(
    caller: APIClient, engineer: Membership, issue: Issue, now: datetime, base: str, _separator: str
) -> None:
    ends_at = now + timedelta(days=3)
    token, _key = issue(engineer, role=Role.ENGINEERS, name="Backup", description="Old")
    body = {
        "name": "Restore",
        "description": None,
        "exp_date": wire(ends_at),
        "client_user": {"role": {"id": 2}},
    }
    before = caller.get(address(token, base)).json()
    for field in body:
        answer = caller.patch(address(token, base), {field: body[field]}, format="json")
        assert answer.status_code == 200
    after = caller.get(address(token, base)).json()
    assert after == answer.json()
    assert after["client_user"].pop("role") == {"id": 2, "name": "Users"}
    before["client_user"].pop("role")
    assert after == before | {"name": "Restore", "description": "", "exp_date": wire(ends_at)}


def test_edit_gives_a_token_no_more_than_it_has(
    caller: APIClient, user: Membership, issue: Issue, now: datetime
) -> None:
    token = issue(user, expires_at=now + timedelta(days=3)).token
    for body, field in (
        ({"client_user": {"role": {"id": 1}}}, "client_user"),
        ({"exp_date": None}, "exp_date"),
        ({"exp_date": wire(now + timedelta(days=4))}, "exp_date"),
        ({"exp_date": wire(now - timedelta(days=1))}, "exp_date"),
        ({"name": ""}, "name"),
        ({"name": "a\x00b"}, "name"),
        ({"name": "n" * 256}, "name"),
        ({"description": "d" * 2001}, "description"),
    ):
        answer = caller.patch(address(token), body, format="json")
        assert (answer.status_code, list(answer.json()["errors"])) == (400, [field])


def test_token_that_others_issued_is_not_found(
    user: Membership, engineer: Membership, issue: Issue, api: Api
) -> None:
    token, stranger = issue(engineer).token, api(issue(user).key)
    answers = [
        stranger.patch(address(token), {"name": "Mine"}, format="json"),
        stranger.post(address(token, more="/rotate")),
        stranger.delete(address(token, more="/old_secret")),
    ]
    assert [answer.status_code for answer in answers] == [404] * 3


def test_list_tells_of_old_secrets_for_the_same_queries(
    caller: APIClient, user: Membership, issue: Issue
) -> None:
    tokens, numbers = [issue(user).token for _number in range(3)], []
    caller.get("/iam/users/me")  # the first use of a token is stored at once
    for _time in range(2):
        with CaptureQueriesContext(connection) as queries:
            found = caller.get(f"/iam/clients/{user.account_id}/tokens").json()
        numbers.append(len(queries))
        for token in tokens:
            caller.post(address(token, more="/rotate"))
    assert numbers[0] == numbers[1]
    assert sum(bool(each["old_secret"]) for each in found) == 3
