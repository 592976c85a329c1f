"""The official clients' calls about people, and the whole of a working day from end to end."""

from typing import Any

import pytest

from accounts.models import Invitation, Membership
from accounts.roles import Role
from apitokens.models import APIToken
from tests.accounts.jwt.conftest import log_in
from tests.conftest import Issue
from tests.contract.conftest import OfficialClient, Outcome
from tests.factories import MembershipFactory

pytestmark = [pytest.mark.contract, pytest.mark.django_db(transaction=True)]

USERS = {"id": 2, "name": "Users"}


@pytest.fixture
def client(official: OfficialClient, administrator: Membership, issue: Issue) -> OfficialClient:
    """The official client with an Administrators token."""
    official.use(issue(administrator, name="Caller", role=Role.ADMINISTRATORS).key)
    return official


@pytest.fixture
def client_id(administrator: Membership) -> int:
    return administrator.account_id


def good(outcome: Outcome) -> Any:
    assert outcome.error is None, outcome.text
    return outcome.answer


def invite(client: OfficialClient, client_id: int, **changes: Any) -> Outcome:
    asked = {"client_id": client_id, "email": "new@example.net", "user_role": USERS, **changes}
    return client.call("iam.users.invite", **asked)


def raised(outcome: Outcome, error: str, status: int, message: str) -> None:
    """The client raises this error with these words, and asks but once."""
    assert (outcome.error, outcome.status, outcome.requests) == (error, status, 1), outcome.text
    assert message in outcome.text
    assert outcome.body["message"]


def test_users_are_listed(
    client: OfficialClient, administrator: Membership, user: Membership
) -> None:
    page = good(client.call("iam.users.list"))
    assert page["count"] == 2
    assert [each["email"] for each in page["results"]] == [
        administrator.user.email,
        user.user.email,
    ]


def test_users_are_listed_page_by_page(client: OfficialClient, administrator: Membership) -> None:
    MembershipFactory.create_batch(4, account=administrator.account, role=Role.USERS)
    first = good(client.call("iam.users.list", limit=2))
    last = good(client.call("iam.users.list", limit=2, offset=4))
    assert (first["count"], len(first["results"]), len(last["results"])) == (5, 2, 1)


def test_user_is_got(client: OfficialClient, user: Membership) -> None:
    told = good(client.call("iam.users.get", user.user_id))
    assert (told["id"], told["email"], told["groups"]) == (
        user.user_id,
        user.user.email,
        [USERS],
    )


def test_user_changes_themselves(official: OfficialClient, user: Membership, issue: Issue) -> None:
    official.use(issue(user).key)
    told = good(
        official.call(
            "iam.users.update",
            user.user_id,
            auth_types=["password"],
            email=user.user.email,
            lang="az",
            name=None,
            phone="+994 12 000 00 00",
        )
    )
    assert (told["lang"], told["name"], told["phone"]) == ("az", "", "+994 12 000 00 00")


def test_user_is_invited(client: OfficialClient, client_id: int) -> None:
    told = good(invite(client, client_id, lang="de", name="Nora"))
    assert told == {"status": "sent", "user_id": Invitation.objects.get().user_id}


def test_user_is_removed(client: OfficialClient, client_id: int, user: Membership) -> None:
    assert good(client.call("iam.users.delete", user.user_id, client_id=client_id)) is None
    user.refresh_from_db()
    assert user.is_removed


def test_people_from_end_to_end(client: OfficialClient, client_id: int) -> None:
    """Invite, see, list, take back: with nothing but what the calls themselves have answered."""
    user_id = good(invite(client, client_id, name="Nora"))["user_id"]
    told = good(client.call("iam.users.get", user_id))
    assert (told["name"], told["activated"]) == ("Nora", False)
    assert user_id in [each["id"] for each in good(client.call("iam.users.list"))["results"]]
    good(client.call("iam.users.delete", user_id, client_id=client_id))
    raised(client.call("iam.users.get", user_id), "NotFoundError", 404, "User not found.")


# --- Errors ------------------------------------------------------------------------------------


def test_who_was_invited_already(client: OfficialClient, client_id: int) -> None:
    user_id = good(invite(client, client_id))["user_id"]
    sentence = f"User {user_id} has already been invited to client {client_id}"
    raised(invite(client, client_id), "BadRequestError", 400, sentence)


def test_sixth_invitation_of_a_day_is_not_tried_again(
    client: OfficialClient, client_id: int
) -> None:
    for number in range(5):
        good(invite(client, client_id, email=f"new{number}@example.net"))
    raised(invite(client, client_id), "BadRequestError", 400, "in 24 hours")


def test_invitation_by_others(official: OfficialClient, user: Membership, issue: Issue) -> None:
    official.use(issue(user).key)
    outcome = invite(official, user.account_id)
    raised(outcome, "PermissionDeniedError", 403, "Only Administrators can invite users")


def test_user_with_active_tokens(
    client: OfficialClient, client_id: int, user: Membership, issue: Issue
) -> None:
    issue(user)
    outcome = client.call("iam.users.delete", user.user_id, client_id=client_id)
    sentence = "You can't remove the user as they have active tokens"
    raised(outcome, "PermissionDeniedError", 403, sentence)


def test_user_of_another_account(client: OfficialClient, stranger: Membership) -> None:
    outcome = client.call("iam.users.get", stranger.user_id)
    raised(outcome, "NotFoundError", 404, "User not found.")
    outcome = client.call("iam.users.update", stranger.user_id, name="Mallory")
    raised(outcome, "NotFoundError", 404, "User not found.")
    outcome = client.call("iam.users.delete", stranger.user_id, client_id=stranger.account_id)
    raised(outcome, "NotFoundError", 404, "Account not found.")


# --- Short-lived tokens ------------------------------------------------------------------------


def test_access_token_does_for_every_call(
    official: OfficialClient, administrator: Membership, user: Membership
) -> None:
    """The clients know one scheme, and let a header that is given take its place."""
    access = log_in(administrator.user.email).json()["access"]
    headers = {"extra_headers": {"Authorization": f"Bearer {access}"}}
    client_id = administrator.account_id
    assert good(official.call("iam.get_account_overview", **headers))["id"] == client_id
    assert good(official.call("iam.users.list", **headers))["count"] == 2
    made = good(
        official.call(
            "iam.api_tokens.create",
            client_id,
            client_user={},
            exp_date=None,
            name="CI",
            **headers,
        )
    )
    listed = good(official.call("iam.api_tokens.list", client_id, **headers))
    assert [each["id"] for each in listed] == [made["id"]]
    good(official.call("iam.api_tokens.delete", made["id"], client_id=client_id, **headers))
    assert APIToken.objects.get().is_deleted


def test_access_token_that_is_none(official: OfficialClient) -> None:
    headers = {"extra_headers": {"Authorization": "Bearer nonsense"}}
    outcome = official.call("iam.users.list", **headers)
    raised(outcome, "AuthenticationError", 401, "Token is invalid or expired")
