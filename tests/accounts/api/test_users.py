"""Who sees which users through the API, and who changes what about them."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from django.test import Client
from rest_framework.test import APIClient
from time_machine import TimeMachineFixture

from accounts.authorization.actor import Actor
from accounts.invitations import services as invitations
from accounts.models import AuditEvent, Membership, User
from accounts.roles import Role
from notifications.models import Mail
from tests.accounts.api.conftest import InPerson
from tests.accounts.jwt.conftest import log_in, turn_in, with_access
from tests.conftest import Api, Issue
from tests.factories import MembershipFactory
from tests.outbox import mail_to, path_in

pytestmark = pytest.mark.django_db

SIGNED_IN = datetime(2026, 3, 1, 12, tzinfo=UTC)
NOT_FOUND = (404, {"message": "User not found."})
FORBIDDEN = (403, {"message": "You do not have permission to perform this action."})


def told(answer: Any) -> tuple[int, Any]:
    return answer.status_code, answer.json()


def ids(answer: Any) -> list[int]:
    assert answer.status_code == 200, answer.content
    return [each["id"] for each in answer.json()]


# --- The list ----------------------------------------------------------------------------------


def test_administrators_see_everybody_in_the_account(
    as_administrator: APIClient,
    administrator: Membership,
    user: Membership,
    stranger: Membership,
) -> None:
    found = as_administrator.get("/iam/users")
    assert ids(found) == [administrator.user_id, user.user_id]


def test_others_see_themselves(
    as_user: APIClient, administrator: Membership, user: Membership
) -> None:
    assert ids(as_user.get("/iam/users")) == [user.user_id]


def test_token_of_an_administrator_sees_no_more_than_its_role_allows(
    administrator: Membership, user: Membership, issue: Issue, api: Api
) -> None:
    client = api(issue(administrator, role=Role.ENGINEERS).key)
    assert ids(client.get("/iam/users")) == [administrator.user_id]


def test_removed_users_are_not_listed_and_cannot_be_got(
    as_administrator: APIClient, administrator: Membership, user: Membership, now: datetime
) -> None:
    Membership.objects.filter(pk=user.pk).update(removed_at=now)
    assert ids(as_administrator.get("/iam/users")) == [administrator.user_id]
    assert told(as_administrator.get(f"/iam/users/{user.user_id}")) == NOT_FOUND


def test_user_who_is_switched_off_is_listed_as_inactive(
    as_administrator: APIClient, user: Membership
) -> None:
    User.objects.filter(pk=user.user_id).update(is_active=False)
    found = as_administrator.get("/iam/users").json()
    assert [each["is_active"] for each in found] == [True, False]


def test_list_costs_the_same_for_many_as_for_few(
    administrator: Membership, in_person: InPerson, django_assert_num_queries: Any
) -> None:
    client = in_person(administrator)
    MembershipFactory.create_batch(20, account=administrator.account, role=Role.USERS)
    # One to authenticate; how many members and invited people there are; which members a part has,
    # these, how many there are before the invited ones, and those.
    with django_assert_num_queries(6):
        assert len(client.get("/iam/users").json()) == 21


def test_user_who_signed_in_through_the_provider_is_marked_so(
    as_administrator: APIClient, user: Membership, now: datetime
) -> None:
    Membership.objects.filter(pk=user.pk).update(sso_at=now)
    told = as_administrator.get(f"/iam/users/{user.user_id}").json()
    assert (told["sso_auth"], told["auth_types"]) == (True, ["password", "sso"])
    user.user.set_unusable_password()
    user.user.save()
    told = as_administrator.get(f"/iam/users/{user.user_id}").json()
    assert (told["sso_auth"], told["auth_types"]) == (True, ["sso"])


def test_way_in_of_another_account_is_not_told_here(
    as_administrator: APIClient, user: Membership, now: datetime
) -> None:
    MembershipFactory.create(user=user.user, sso_at=now)
    told = as_administrator.get(f"/iam/users/{user.user_id}").json()
    assert (told["sso_auth"], told["auth_types"]) == (False, ["password"])


def test_user_is_told_whole(as_administrator: APIClient, user: Membership) -> None:
    User.objects.filter(pk=user.user_id).update(phone="+44 20 7946 0018", language="de")
    Authenticator.objects.create(user=user.user, type=Authenticator.Type.TOTP, data={})
    assert as_administrator.get(f"/iam/users/{user.user_id}").json() == {
        "id": user.user_id,
        "email": user.user.email,
        "name": user.user.name,
        "lang": "de",
        "phone": "+44 20 7946 0018",
        "company": "Example Inc.",
        "reseller": 0,
        "client": user.account_id,
        "deleted": False,
        "groups": [{"id": 2, "name": "Users"}],
        "activated": True,
        "sso_auth": False,
        "two_fa": True,
        "auth_types": ["password"],
        "user_type": "common",
        "is_active": True,
        "client_and_roles": [
            {
                "client_id": user.account_id,
                "client_company_name": "Example Inc.",
                "user_id": user.user_id,
                "user_roles": ["2"],
            }
        ],
    }


def test_recovery_codes_alone_are_no_second_factor(
    as_administrator: APIClient, user: Membership
) -> None:
    Authenticator.objects.create(user=user.user, type=Authenticator.Type.RECOVERY_CODES, data={})
    assert as_administrator.get(f"/iam/users/{user.user_id}").json()["two_fa"] is False


def test_address_that_was_not_confirmed_is_told_as_not_activated(
    as_administrator: APIClient, user: Membership
) -> None:
    EmailAddress.objects.filter(user=user.user).update(verified=False)
    assert as_administrator.get(f"/iam/users/{user.user_id}").json()["activated"] is False


def test_administrators_learn_nothing_of_a_users_other_accounts(
    as_administrator: APIClient, user: Membership
) -> None:
    elsewhere = MembershipFactory.create(user=user.user, account__name="Second Ltd.")
    answer = as_administrator.get("/iam/users")
    assert elsewhere.account.name not in answer.content.decode()
    assert str(elsewhere.account_id) not in {
        str(role["client_id"]) for each in answer.json() for role in each["client_and_roles"]
    }


def test_person_learns_of_all_their_accounts(user: Membership, in_person: InPerson) -> None:
    elsewhere = MembershipFactory.create(user=user.user, role=Role.ENGINEERS)
    for url in ("/iam/users/me", f"/iam/users/{user.user_id}"):
        found = in_person(user).get(url).json()["client_and_roles"]
        assert [(each["client_id"], each["user_roles"]) for each in found] == [
            (user.account_id, ["2"]),
            (elsewhere.account_id, ["5"]),
        ]


@pytest.mark.parametrize("user_id", [0, 5, 10**18, 10**30])
def test_user_who_does_not_exist(as_administrator: APIClient, user_id: int) -> None:
    assert told(as_administrator.get(f"/iam/users/{user_id}")) == NOT_FOUND


def test_user_of_another_account_cannot_be_told_from_nobody(
    as_administrator: APIClient, stranger: Membership
) -> None:
    assert told(as_administrator.get(f"/iam/users/{stranger.user_id}")) == NOT_FOUND


def test_colleague_cannot_be_told_from_nobody_by_others(
    as_user: APIClient, administrator: Membership
) -> None:
    assert told(as_user.get(f"/iam/users/{administrator.user_id}")) == NOT_FOUND


# --- Pages -------------------------------------------------------------------------------------


@pytest.fixture
def nine(as_administrator: APIClient, administrator: Membership, now: datetime) -> list[int]:
    """The ids of seven members and two who are invited, as the list has them."""
    MembershipFactory.create_batch(6, account=administrator.account, role=Role.USERS)
    for email in ("first@example.net", "second@example.net"):
        invitations.invite(
            account=administrator.account,
            email=email,
            role=Role.USERS,
            by=Actor.member(administrator),
            at=now,
        )
    found = ids(as_administrator.get("/iam/users"))
    assert len(found) == 9
    return found


@pytest.mark.parametrize(
    ("query", "start", "stop", "following", "before"),
    [
        ("limit=4", 0, 4, "limit=4&offset=4", None),
        ("limit=4&offset=4", 4, 8, "limit=4&offset=8", "limit=4&offset=0"),
        ("limit=4&offset=8", 8, 12, None, "limit=4&offset=4"),
        ("limit=9", 0, 9, None, None),
        ("limit=1&offset=7", 7, 8, "limit=1&offset=8", "limit=1&offset=6"),
        ("offset=2", 2, 9, None, "limit=50&offset=0"),
        ("limit=5000", 0, 9, None, None),
        ("limit=5&offset=100", 9, 9, None, "limit=5&offset=95"),
    ],
)
def test_list_comes_in_pages(
    as_administrator: APIClient,
    nine: list[int],
    query: str,
    start: int,
    stop: int,
    following: str | None,
    before: str | None,
) -> None:
    page = as_administrator.get(f"/iam/users?{query}").json()
    assert [each["id"] for each in page["results"]] == nine[start:stop]
    assert page["count"] == 9
    assert page["next"] == (following and f"/iam/users?{following}")
    assert page["previous"] == (before and f"/iam/users?{before}")


@pytest.mark.parametrize(
    "query",
    [
        "limit=0",
        "limit=-1",
        "limit=x",
        "limit=1.5",
        "offset=-1",
        "offset=%00",
        "offset=99999999999",
        "limit=" + "9" * 5000,
        "limit=1&offset=null",
    ],
)
@pytest.mark.parametrize("url", ["/iam/users", "/iam/activity_log/logins"])
def test_page_that_makes_no_sense_is_refused(
    as_administrator: APIClient, url: str, query: str
) -> None:
    answer = as_administrator.get(f"{url}?{query}")
    assert answer.status_code == 400
    assert set(answer.json()["errors"]) <= {"limit", "offset"}


# --- The own profile ---------------------------------------------------------------------------


def patch(client: APIClient, member: Membership, **changes: Any) -> Any:
    return client.patch(f"/iam/users/{member.user_id}", changes, format="json")


def test_person_changes_their_profile(as_user: APIClient, user: Membership) -> None:
    answer = patch(as_user, user, name="Maria Okafor", phone="+49 30 901820", lang="de")
    assert answer.status_code == 200
    found = answer.json()
    assert (found["name"], found["phone"], found["lang"]) == (
        "Maria Okafor",
        "+49 30 901820",
        "de",
    )
    user.user.refresh_from_db()
    assert (user.user.name, user.user.phone, user.user.language) == (
        "Maria Okafor",
        "+49 30 901820",
        "de",
    )


def test_what_is_left_out_stays(as_user: APIClient, user: Membership) -> None:
    name = user.user.name
    assert patch(as_user, user, phone="123").json()["name"] == name


def test_null_clears(as_user: APIClient, user: Membership) -> None:
    found = patch(as_user, user, name=None, phone=None).json()
    assert (found["name"], found["phone"]) == ("", "")


def test_nothing_to_change_leaves_no_event(as_user: APIClient, user: Membership) -> None:
    as_user.get("/iam/users/me")  # the first use of a token is an event
    before = AuditEvent.objects.count()
    email = user.user.email.upper()
    assert patch(as_user, user, auth_types=["password"], email=email).status_code == 200
    assert AuditEvent.objects.count() == before


def test_administrators_change_nobody_elses_profile(
    as_administrator: APIClient, user: Membership
) -> None:
    assert told(patch(as_administrator, user, name="Mallory")) == FORBIDDEN
    assert told(patch(as_administrator, user, email="mallory@example.com")) == FORBIDDEN


def test_others_cannot_even_see_whose_profile_they_would_change(
    as_user: APIClient, administrator: Membership, stranger: Membership
) -> None:
    for member in (administrator, stranger):
        assert told(patch(as_user, member, name="Mallory")) == NOT_FOUND


def test_role_cannot_be_changed_as_if_it_were_a_part_of_the_profile(
    as_user: APIClient, user: Membership
) -> None:
    admin = [{"id": 1, "name": "Administrators"}]
    asked = {"groups": admin, "is_active": False, "is_staff": True, "client": 5, "id": 5}
    answer = as_user.patch(f"/iam/users/{user.user_id}", asked, format="json")
    assert answer.json()["groups"] == [{"id": 2, "name": "Users"}]
    user.user.refresh_from_db()
    assert (user.user.is_active, user.user.is_staff) == (True, False)


def test_how_one_signs_in_cannot_be_declared(as_user: APIClient, user: Membership) -> None:
    answer = patch(as_user, user, auth_types=["sso"])
    assert (answer.status_code, list(answer.json()["errors"])) == (400, ["auth_types"])


def test_another_address_is_asked_to_confirm_first(user: Membership, in_person: InPerson) -> None:
    email = user.user.email
    answer = patch(in_person(user), user, email="new@example.com")
    assert (answer.status_code, answer.json()["email"]) == (200, email)
    assert Mail.objects.filter(address="new@example.com").count() == 1
    assert AuditEvent.objects.filter(kind="email.change_requested", user=user.user).exists()


def test_api_token_cannot_change_the_address_of_its_issuer(
    as_user: APIClient, user: Membership
) -> None:
    answer = patch(as_user, user, email="mallory@example.com", name="Mallory")
    assert answer.status_code == 403
    assert not Mail.objects.filter(address="mallory@example.com").exists()
    user.user.refresh_from_db()
    assert user.user.name != "Mallory"


def test_asking_changes_nothing_until_the_new_address_is_confirmed(
    user: Membership, in_person: InPerson
) -> None:
    email = user.user.email
    patch(in_person(user), user, email="new@example.com")
    user.user.refresh_from_db()
    assert user.user.email == email
    Client().post(path_in(mail_to("new@example.com")))
    user.user.refresh_from_db()
    assert user.user.email == "new@example.com"


def test_old_address_is_told_of_a_change_through_the_api(
    user: Membership, in_person: InPerson
) -> None:
    email = user.user.email
    patch(in_person(user), user, email="new@example.com")
    Client().post(path_in(mail_to("new@example.com")))
    assert mail_to(email).subject == "Your email address was changed"


@pytest.mark.parametrize(("age", "status"), [(299, 200), (300, 403)])
def test_address_changes_only_shortly_after_signing_in(
    user: Membership, in_person: InPerson, time_machine: TimeMachineFixture, age: int, status: int
) -> None:
    """Who has stolen an access token must not take the person over."""
    time_machine.move_to(SIGNED_IN, tick=False)
    client = in_person(user)
    time_machine.move_to(SIGNED_IN + timedelta(seconds=age), tick=False)
    assert patch(client, user, email="new@example.com").status_code == status
    assert Mail.objects.filter(address="new@example.com").exists() is (status == 200)


def test_user_who_signed_in_too_long_ago_is_told_what_to_do(
    user: Membership, in_person: InPerson, time_machine: TimeMachineFixture
) -> None:
    time_machine.move_to(SIGNED_IN, tick=False)
    client = in_person(user)
    time_machine.move_to(SIGNED_IN + timedelta(minutes=6), tick=False)
    assert told(patch(client, user, email="new@example.com", name="Mallory")) == (
        403,
        {
            "message": "You signed in too long ago to change your email address. Sign in again "
            "and send the request within 5 minutes with the new access token."
        },
    )
    user.user.refresh_from_db()
    assert user.user.name != "Mallory"


def test_everything_else_of_the_profile_needs_no_fresh_sign_in(
    user: Membership, in_person: InPerson, time_machine: TimeMachineFixture
) -> None:
    time_machine.move_to(SIGNED_IN, tick=False)
    client = in_person(user)
    time_machine.move_to(SIGNED_IN + timedelta(minutes=50), tick=False)
    email = user.user.email
    answer = patch(client, user, name="Maria", email=email)
    assert (answer.status_code, answer.json()["name"]) == (200, "Maria")


@pytest.mark.parametrize("detour", ["refresh", "another account"])
def test_no_detour_makes_a_sign_in_younger(
    user: Membership, time_machine: TimeMachineFixture, detour: str
) -> None:
    elsewhere = MembershipFactory.create(user=user.user)
    time_machine.move_to(SIGNED_IN, tick=False)
    pair = log_in(user.user.email).json()
    time_machine.move_to(SIGNED_IN + timedelta(minutes=10), tick=False)
    if detour == "refresh":
        pair = turn_in(pair["refresh"]).json()
    else:
        there = f"/iam/auth/jwt/clients/{elsewhere.account_id}/login"
        pair = with_access(pair["access"]).get(there).json()
    answer = patch(with_access(pair["access"]), user, email="new@example.com")
    assert answer.status_code == 403
    assert not Mail.objects.filter(address="new@example.com").exists()


def test_refused_wishes_do_not_use_up_the_wishes_of_an_hour(
    user: Membership, in_person: InPerson, time_machine: TimeMachineFixture
) -> None:
    """A thief could otherwise keep the person from changing their address."""
    time_machine.move_to(SIGNED_IN, tick=False)
    stolen = in_person(user)
    time_machine.move_to(SIGNED_IN + timedelta(minutes=6), tick=False)
    for _ in range(6):
        patch(stolen, user, email="mallory@example.com")
    assert patch(in_person(user), user, email="new@example.com").status_code == 200


@pytest.mark.parametrize("email", ["", "x", "a@b", "märia@example.com", "mаria@example.com"])
def test_address_that_is_none_is_refused(user: Membership, in_person: InPerson, email: str) -> None:
    answer = patch(in_person(user), user, email=email, name="Changed")
    assert (answer.status_code, list(answer.json()["errors"])) == (400, ["email"])
    user.user.refresh_from_db()
    assert user.user.name != "Changed"
