"""An unmodified official client, newest and older, validating strictly, works with the portal."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from accounts.authorization.actor import Actor
from accounts.models import Account, Membership, User
from accounts.roles import Role
from apitokens import keys
from apitokens.keys import Key
from apitokens.models import APIToken
from apitokens.tokens import services as token_services
from tests.conftest import Issue
from tests.contract.conftest import OfficialClient, Outcome

pytestmark = [pytest.mark.contract, pytest.mark.django_db(transaction=True)]

USERS = {"role": {"id": 2, "name": "Users"}}


@pytest.fixture
def client(official: OfficialClient, administrator: Membership, issue: Issue) -> OfficialClient:
    """The official client with an Administrators token."""
    official.use(issue(administrator, name="Caller", role=Role.ADMINISTRATORS).key)
    return official


@pytest.fixture
def client_id(administrator: Membership) -> int:
    return administrator.account_id


def names(outcome: Outcome) -> list[str]:
    assert outcome.error is None, outcome.text
    return [each["name"] for each in outcome.answer]


def create(client: OfficialClient, client_id: int, **changes: Any) -> Outcome:
    asked = {"client_user": USERS, "exp_date": None, "name": "CI", **changes}
    return client.call("iam.api_tokens.create", client_id, **asked)


def test_client_is_the_one_that_it_should_be(official: OfficialClient) -> None:
    assert official.ask() == {"version": official.version}


# --- Calls -------------------------------------------------------------------------------------


def test_token_is_created(
    client: OfficialClient, client_id: int, administrator: Membership
) -> None:
    made = create(
        client, client_id, exp_date="2090-06-30T12:00:00+02:00", description="Builds"
    ).answer
    token = APIToken.objects.get(name="CI")
    assert re.fullmatch(f"{token.pk}{re.escape(client.separator)}[0-9a-f]{{72}}", made["token"])
    assert {**made, "token": None, "created": None} == {
        "id": token.pk,
        "name": "CI",
        "description": "Builds",
        "exp_date": "2090-06-30T10:00:00.000000Z",
        "created": None,
        "deleted": False,
        "expired": False,
        "last_usage": "",
        "client_user": {
            "deleted": False,
            "user_id": administrator.user_id,
            "user_name": administrator.user.name,
            "user_email": administrator.user.email,
            "service_account": False,
            "client_id": client_id,
            "role": USERS["role"],
        },
        "rotations": 0,
        "rotated": None,
        "old_secret": None,
        "scopes": None,
        "allowed_addresses": [],
        "token": None,
    }


def test_created_token_works_at_once_and_stops_at_once_after_deletion(
    client: OfficialClient, client_id: int
) -> None:
    made = create(client, client_id).answer
    administrators_key, client.key = client.key, made["token"]
    assert names(client.call("iam.api_tokens.list", client_id)) == ["Caller", "CI"]
    client.use(administrators_key)
    client.call("iam.api_tokens.delete", made["id"], client_id=client_id)
    client.use(made["token"])
    assert client.call("iam.api_tokens.list", client_id).error == "AuthenticationError"


def test_token_without_a_named_role_gets_the_callers_own(
    client: OfficialClient, client_id: int
) -> None:
    made = create(client, client_id, client_user={}).answer
    assert made["client_user"]["role"] == {"id": 1, "name": "Administrators"}


def test_tokens_are_listed(client: OfficialClient, client_id: int) -> None:
    create(client, client_id)
    assert names(client.call("iam.api_tokens.list", client_id)) == ["Caller", "CI"]


def test_token_that_was_never_used_and_whose_issuer_has_no_name_passes_strict_validation(
    client: OfficialClient, client_id: int, user: Membership, issue: Issue
) -> None:
    User.objects.filter(pk=user.user_id).update(name="")
    token = issue(user, name="Quiet").token
    told = client.call("iam.api_tokens.get", token.pk, client_id=client_id).answer
    assert (told["last_usage"], told["client_user"]["user_name"]) == ("", "")


def test_list_is_filtered_by_deletion(
    client: OfficialClient, client_id: int, user: Membership, issue: Issue, now: datetime
) -> None:
    token_services.delete(token=issue(user, name="Gone").token, by=Actor.member(user), at=now)
    assert names(client.call("iam.api_tokens.list", client_id, deleted=True)) == ["Gone"]
    assert names(client.call("iam.api_tokens.list", client_id, deleted=False)) == ["Caller"]


@pytest.mark.parametrize("role", ["2", "Users"])
def test_list_is_filtered_by_role(
    client: OfficialClient, client_id: int, user: Membership, issue: Issue, role: str
) -> None:
    issue(user, name="Weak")
    assert names(client.call("iam.api_tokens.list", client_id, role=role)) == ["Weak"]


def test_list_is_filtered_by_issuer(
    client: OfficialClient, client_id: int, user: Membership, issue: Issue
) -> None:
    issue(user, name="Of the user")
    asked = {"issued_by": user.user_id}
    assert names(client.call("iam.api_tokens.list", client_id, **asked)) == ["Of the user"]
    asked = {"not_issued_by": user.user_id}
    assert names(client.call("iam.api_tokens.list", client_id, **asked)) == ["Caller"]


def test_one_token_is_got(
    client: OfficialClient, client_id: int, user: Membership, issue: Issue
) -> None:
    token = issue(user, name="Wanted").token
    told = client.call("iam.api_tokens.get", token.pk, client_id=client_id).answer
    assert (told["id"], told["name"]) == (token.pk, "Wanted")


def test_token_is_deleted(
    client: OfficialClient, client_id: int, user: Membership, issue: Issue
) -> None:
    token = issue(user).token
    outcome = client.call("iam.api_tokens.delete", token.pk, client_id=client_id)
    assert (outcome.error, outcome.answer) == (None, None)
    assert APIToken.objects.get(pk=token.pk).is_deleted


def test_account_is_told(
    client: OfficialClient, client_id: int, administrator: Membership, user: Membership
) -> None:
    told = client.call("iam.get_account_overview").answer
    assert (told["id"], told["companyName"], told["currentUser"], told["status"]) == (
        client_id,
        "Example Inc.",
        administrator.user_id,
        "active",
    )
    assert [each["email"] for each in told["users"]] == [
        administrator.user.email,
        user.user.email,
    ]


@pytest.mark.parametrize("separator", ["$", "_"])
def test_client_authenticates_with_either_spelling(
    official: OfficialClient,
    user: Membership,
    issue: Issue,
    separator: keys.Separator,
) -> None:
    official.use(issue(user).key.spell(separator))
    assert official.call("iam.get_account_overview").error is None


# --- Errors ------------------------------------------------------------------------------------


def raised(outcome: Outcome, error: str, status: int, body: dict[str, Any]) -> None:
    """The client raises this error with this body, and asks but once."""
    assert (outcome.error, outcome.status, outcome.body) == (error, status, body)
    assert body["message"] in outcome.text
    assert outcome.requests == 1


INVALID = "The request is not valid: see errors."


def test_role_that_does_not_exist(client: OfficialClient, client_id: int) -> None:
    raised(
        create(client, client_id, client_user={"role": {"id": 7}}),
        "BadRequestError",
        400,
        {"message": INVALID, "errors": {"client_user": {"role": ["Invalid role: 7"]}}},
    )


def test_role_above_the_callers(official: OfficialClient, user: Membership, issue: Issue) -> None:
    official.use(issue(user).key)
    told = ["Can't create token with role Administrators"]
    raised(
        create(official, user.account_id, client_user={"role": {"name": "Administrators"}}),
        "BadRequestError",
        400,
        {"message": INVALID, "errors": {"client_user": {"role": told}}},
    )


def test_date_that_has_passed(client: OfficialClient, client_id: int) -> None:
    told = {"exp_date": ["This date is in the past. Choose a later one."]}
    raised(
        create(client, client_id, exp_date="2020-01-01T00:00:00Z"),
        "BadRequestError",
        400,
        {"message": INVALID, "errors": told},
    )


def test_limit_is_not_tried_again(client: OfficialClient, client_id: int) -> None:
    Account.objects.update(token_limit=1)
    outcome = create(client, client_id)
    assert (outcome.error, outcome.status, outcome.requests) == ("BadRequestError", 400, 1)
    assert "This account has reached its limit of 1 API tokens." in outcome.text
    assert APIToken.objects.count() == 1


@pytest.mark.parametrize("call", ["get", "delete"])
def test_token_of_others_or_of_nobody(
    official: OfficialClient,
    user: Membership,
    administrator: Membership,
    stranger: Membership,
    issue: Issue,
    call: str,
) -> None:
    official.use(issue(user).key)
    for token_id in (issue(administrator).token.pk, issue(stranger).token.pk, 5, 10**30):
        raised(
            official.call(f"iam.api_tokens.{call}", token_id, client_id=user.account_id),
            "NotFoundError",
            404,
            {"message": "API token not found."},
        )


def test_account_of_others_or_of_nobody(client: OfficialClient, stranger: Membership) -> None:
    for account_id in (stranger.account_id, 987_654, 10**30):
        for outcome in (
            client.call("iam.api_tokens.list", account_id),
            create(client, account_id),
            client.call("iam.api_tokens.get", 5, client_id=account_id),
            client.call("iam.api_tokens.delete", 5, client_id=account_id),
        ):
            raised(outcome, "NotFoundError", 404, {"message": "Account not found."})


def test_token_that_may_not_delete_a_stronger_one(
    official: OfficialClient, administrator: Membership, issue: Issue
) -> None:
    official.use(issue(administrator, role=Role.USERS).key)
    strong = issue(administrator, role=Role.ADMINISTRATORS).token
    raised(
        official.call("iam.api_tokens.delete", strong.pk, client_id=administrator.account_id),
        "PermissionDeniedError",
        403,
        {"message": "You do not have permission to delete this API token."},
    )


def unauthenticated(outcome: Outcome, message: str, code: str) -> None:
    assert (outcome.error, outcome.status, outcome.requests) == ("AuthenticationError", 401, 1)
    assert (outcome.body["message"], outcome.body["code"]) == (message, code)


def test_token_that_is_none(official: OfficialClient) -> None:
    official.use("nonsense")
    told = official.call("iam.get_account_overview")
    unauthenticated(told, "Bad permanent token", "malformed")


def test_token_that_does_not_exist(official: OfficialClient) -> None:
    official.use(keys.make(5))
    told = official.call("iam.get_account_overview")
    unauthenticated(told, "Bad permanent token", "unknown")


def test_token_whose_secret_is_wrong(
    official: OfficialClient, user: Membership, issue: Issue
) -> None:
    official.use(Key(issue(user).token.pk, "0" * 64))
    told = official.call("iam.get_account_overview")
    unauthenticated(told, "Bad permanent token", "unknown")


def test_token_that_has_expired(
    official: OfficialClient, user: Membership, issue: Issue, now: datetime
) -> None:
    past = now - timedelta(days=2)
    official.use(issue(user, at=past, expires_at=now - timedelta(days=1)).key)
    told = official.call("iam.get_account_overview")
    unauthenticated(told, "Token is invalid or expired", "expired")


def test_token_that_was_deleted(
    official: OfficialClient, user: Membership, issue: Issue, now: datetime
) -> None:
    token, key = issue(user)
    token_services.delete(token=token, by=Actor.member(user), at=now)
    official.use(key)
    told = official.call("iam.get_account_overview")
    unauthenticated(told, "Token is invalid or expired", "deleted")


def test_token_of_a_user_who_was_deactivated(
    official: OfficialClient, user: Membership, issue: Issue
) -> None:
    official.use(issue(user).key)
    User.objects.update(is_active=False)
    told = official.call("iam.get_account_overview")
    unauthenticated(told, "Token is invalid or expired", "issuer_inactive")


def test_long_list_passes_strict_validation(
    client: OfficialClient, client_id: int, administrator: Membership, issue: Issue
) -> None:
    ends = datetime(2090, 1, 1, tzinfo=UTC)
    for number in range(40):
        role = list(Role)[number % len(Role)]
        issue(administrator, name=f"№ {number}", role=role, expires_at=ends if number % 2 else None)
    assert len(names(client.call("iam.api_tokens.list", client_id))) == 41
