"""Invitations, roles and removal through the API."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from rest_framework.test import APIClient

from accounts.authorization.actor import Actor
from accounts.invitations import services as invitations
from accounts.models import Invitation, Membership, User
from accounts.roles import Role
from apitokens.tokens import services as token_services
from tests.accounts.api.conftest import InPerson
from tests.conftest import Api, Issue
from tests.factories import MembershipFactory

pytestmark = pytest.mark.django_db

NOT_FOUND = (404, {"message": "User not found."})
NO_ACCOUNT = (404, {"message": "Account not found."})
USERS = {"id": 2, "name": "Users"}
INVITE = "/iam/clients/invite_user"


def told(answer: Any) -> tuple[int, Any]:
    return answer.status_code, answer.json()


def invite(client: APIClient, member: Membership, **changes: Any) -> Any:
    asked = {
        "client_id": member.account_id,
        "email": "new@example.net",
        "user_role": USERS,
        **changes,
    }
    return client.post(INVITE, asked, format="json")


# --- Invitations -------------------------------------------------------------------------------


def test_administrators_invite(as_administrator: APIClient, administrator: Membership) -> None:
    answer = invite(as_administrator, administrator, lang="de", name="Nora")
    invitation = Invitation.objects.get()
    assert told(answer) == (200, {"status": "sent", "user_id": invitation.user_id})
    assert (invitation.email, invitation.given_role, invitation.language, invitation.name) == (
        "new@example.net",
        Role.USERS,
        "de",
        "Nora",
    )


def test_role_may_be_told_by_its_name(
    as_administrator: APIClient, administrator: Membership
) -> None:
    invite(as_administrator, administrator, user_role={"name": "Engineers"})
    assert Invitation.objects.get().given_role is Role.ENGINEERS


def test_whom_to_invite_a_second_time_is_told_by_id(
    as_administrator: APIClient, administrator: Membership
) -> None:
    user_id = invite(as_administrator, administrator).json()["user_id"]
    answer = invite(as_administrator, administrator, email="NEW@example.net")
    sentence = f"User {user_id} has already been invited to client {administrator.account_id}"
    assert answer.status_code == 400
    assert answer.json()["errors"] == {"errors": [sentence]}


def test_member_is_not_invited_again(
    as_administrator: APIClient, administrator: Membership, user: Membership
) -> None:
    answer = invite(as_administrator, administrator, email=user.user.email)
    assert (answer.status_code, list(answer.json()["errors"])) == (400, ["email"])


def test_answer_does_not_tell_whether_the_address_is_known(
    as_administrator: APIClient, administrator: Membership, stranger: Membership
) -> None:
    known = invite(as_administrator, administrator, email=stranger.user.email)
    unknown = invite(as_administrator, administrator)
    assert [set(each.json()) for each in (known, unknown)] == [{"status", "user_id"}] * 2
    assert [len(str(each.json()["user_id"])) for each in (known, unknown)] == [9, 9]


def test_invited_person_is_shown_as_they_were_written_down_and_not_as_they_are(
    as_administrator: APIClient, administrator: Membership, stranger: Membership
) -> None:
    User.objects.filter(pk=stranger.user_id).update(name="Real Name", phone="123", language="de")
    user_id = invite(as_administrator, administrator, email=stranger.user.email).json()["user_id"]
    found = as_administrator.get(f"/iam/users/{user_id}").json()
    assert found == as_administrator.get("/iam/users").json()[-1]
    assert (found["id"], found["email"], found["activated"]) == (
        user_id,
        stranger.user.email,
        False,
    )
    assert (found["name"], found["phone"], found["lang"]) == ("", "", "en")
    assert "Globex" not in str(found)


def test_others_do_not_invite(as_user: APIClient, user: Membership) -> None:
    answer = invite(as_user, user)
    assert told(answer) == (
        403,
        {"message": ("Only Administrators can invite users to the account.")},
    )
    assert not Invitation.objects.exists()


def test_weak_token_of_an_administrator_does_not_invite(
    administrator: Membership, issue: Issue, api: Api
) -> None:
    client = api(issue(administrator, role=Role.ENGINEERS).key)
    assert invite(client, administrator).status_code == 403


@pytest.mark.parametrize("client_id", [0, 987_654, 10**30])
def test_invitation_to_an_account_that_does_not_exist(
    as_administrator: APIClient, administrator: Membership, client_id: int
) -> None:
    assert told(invite(as_administrator, administrator, client_id=client_id)) == NO_ACCOUNT


def test_invitation_to_the_account_of_others(
    as_administrator: APIClient, stranger: Membership
) -> None:
    assert told(invite(as_administrator, stranger)) == NO_ACCOUNT
    assert not Invitation.objects.exists()


def test_sixth_person_of_a_day_is_refused_for_good(
    as_administrator: APIClient, administrator: Membership
) -> None:
    answers = [
        invite(as_administrator, administrator, email=f"new{number}@example.net")
        for number in range(6)
    ]
    assert [each.status_code for each in answers] == [200] * 5 + [400]


@pytest.mark.parametrize(
    ("query", "wrong"),
    [
        ("delete_tokens=maybe&hand_over_to=abc", {"delete_tokens", "hand_over_to"}),
        ("delete_tokens=true&delete_tokens=true", {"delete_tokens"}),
    ],
)
def test_removing_an_invited_user_is_refused_for_a_query_that_makes_no_sense(
    as_administrator: APIClient, administrator: Membership, query: str, wrong: set[str]
) -> None:
    """As for a member: a program that names one wrongly must not learn it of the next."""
    user_id = invite(as_administrator, administrator).json()["user_id"]
    path = f"/iam/clients/{administrator.account_id}/client-users/{user_id}"

    answer = as_administrator.delete(f"{path}?{query}")

    assert (answer.status_code, set(answer.json()["errors"])) == (400, wrong)
    assert Invitation.objects.get().withdrawn_at is None
    assert as_administrator.delete(f"{path}?delete_tokens=true").status_code == 204


def test_removing_an_invited_user_withdraws_the_invitation(
    as_administrator: APIClient, administrator: Membership
) -> None:
    user_id = invite(as_administrator, administrator).json()["user_id"]
    assert as_administrator.delete(address(administrator, user_id)).status_code == 204
    assert Invitation.objects.get().withdrawn_at is not None
    assert told(as_administrator.get(f"/iam/users/{user_id}")) == NOT_FOUND


def test_role_of_an_invited_user_stays(
    as_administrator: APIClient, administrator: Membership
) -> None:
    user_id = invite(as_administrator, administrator).json()["user_id"]
    answer = put(as_administrator, administrator, user_id, {"id": 1})
    assert answer.status_code == 403
    assert Invitation.objects.get().given_role is Role.USERS


def test_late_invitation_does_not_stand_in_the_way(
    as_administrator: APIClient, administrator: Membership, now: datetime
) -> None:
    invitations.invite(
        account=administrator.account,
        email="new@example.net",
        role=Role.USERS,
        by=Actor.member(administrator),
        at=now - timedelta(days=2),
    )
    assert invite(as_administrator, administrator).status_code == 200


# --- Roles -------------------------------------------------------------------------------------


def address(member: Membership, user_id: int | None = None) -> str:
    return f"/iam/clients/{member.account_id}/client-users/{user_id or member.user_id}"


def put(client: APIClient, member: Membership, user_id: int | None, role: Any) -> Any:
    return client.put(address(member, user_id), {"user_role": role}, format="json")


def test_role_is_told(as_administrator: APIClient, user: Membership) -> None:
    assert told(as_administrator.get(address(user))) == (200, {"user_role": USERS})


def test_own_role_is_told_to_everybody(as_user: APIClient, user: Membership) -> None:
    assert told(as_user.get(address(user))) == (200, {"user_role": USERS})


def test_administrators_change_roles(as_administrator: APIClient, user: Membership) -> None:
    answer = put(as_administrator, user, None, {"id": 5, "name": "Engineers"})
    assert (answer.status_code, answer.content) == (204, b"")
    user.refresh_from_db()
    assert user.held_role is Role.ENGINEERS


def test_role_below_that_of_a_live_token_is_refused(
    as_administrator: APIClient, engineer: Membership, issue: Issue
) -> None:
    issue(engineer, role=Role.ENGINEERS)
    assert told(put(as_administrator, engineer, None, USERS)) == (
        403,
        {
            "message": "The specified user has issued a token with a higher role. "
            "Try using another role."
        },
    )


def test_role_can_be_lowered_when_that_token_has_been_deleted(
    as_administrator: APIClient, engineer: Membership, issue: Issue, now: datetime
) -> None:
    token = issue(engineer, role=Role.ENGINEERS).token
    token_services.delete(token=token, by=Actor.member(engineer), at=now)
    assert put(as_administrator, engineer, None, USERS).status_code == 204


def test_others_do_not_raise_themselves(as_user: APIClient, user: Membership) -> None:
    answer = put(as_user, user, None, {"id": 1})
    assert told(answer) == (403, {"message": "Only Administrators can change roles."})
    user.refresh_from_db()
    assert user.held_role is Role.USERS


def test_last_administrator_stays_one(administrator: Membership, in_person: InPerson) -> None:
    client = in_person(administrator)
    assert put(client, administrator, None, USERS).status_code == 403
    assert client.delete(address(administrator)).status_code == 403
    administrator.refresh_from_db()
    assert (administrator.held_role, administrator.is_removed) == (Role.ADMINISTRATORS, False)


# --- Removal -----------------------------------------------------------------------------------


def test_administrators_remove(as_administrator: APIClient, user: Membership) -> None:
    answer = as_administrator.delete(address(user))
    assert (answer.status_code, answer.content) == (204, b"")
    user.refresh_from_db()
    assert user.is_removed


def test_user_with_active_tokens_stays(
    as_administrator: APIClient, user: Membership, issue: Issue
) -> None:
    issue(user)
    assert told(as_administrator.delete(address(user))) == (
        403,
        {"message": "You can't remove the user as they have active tokens"},
    )
    user.refresh_from_db()
    assert not user.is_removed


def test_others_do_not_remove_even_themselves(as_user: APIClient, user: Membership) -> None:
    assert as_user.delete(address(user)).status_code == 403


@pytest.mark.parametrize("method", ["get", "put", "delete"])
def test_colleague_cannot_be_told_from_nobody_by_others(
    as_user: APIClient, administrator: Membership, method: str
) -> None:
    body = {"user_role": USERS}
    for user_id in (administrator.user_id, 5, 10**30):
        answer = getattr(as_user, method)(address(administrator, user_id), body, format="json")
        assert told(answer) == NOT_FOUND


@pytest.mark.parametrize("method", ["get", "put", "delete"])
def test_user_of_another_account_cannot_be_told_from_nobody(
    as_administrator: APIClient, administrator: Membership, stranger: Membership, method: str
) -> None:
    call, body = getattr(as_administrator, method), {"user_role": USERS}
    own = call(address(administrator, stranger.user_id), body, format="json")
    theirs = call(address(stranger), body, format="json")
    nowhere = call("/iam/clients/987654/client-users/5", body, format="json")
    assert (told(own), told(theirs), told(nowhere)) == (NOT_FOUND, NO_ACCOUNT, NO_ACCOUNT)
    stranger.refresh_from_db()
    assert (stranger.held_role, stranger.is_removed) == (Role.ADMINISTRATORS, False)


def test_member_of_two_accounts_is_removed_from_one(
    as_administrator: APIClient, user: Membership
) -> None:
    elsewhere = MembershipFactory.create(user=user.user)
    as_administrator.delete(address(user))
    elsewhere.refresh_from_db()
    assert not elsewhere.is_removed
