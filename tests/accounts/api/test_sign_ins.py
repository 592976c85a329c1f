"""The list of sign-ins, good and refused."""

from typing import Any

import pytest
from django.test import Client
from rest_framework.test import APIClient

from accounts.models import Membership
from tests.accounts.api.conftest import InPerson
from tests.accounts.jwt.conftest import log_in
from tests.factories import PASSWORD, MembershipFactory

pytestmark = pytest.mark.django_db

LOGINS = "/iam/activity_log/logins"


def listed(client: APIClient, query: str = "") -> list[dict[str, Any]]:
    answer = client.get(f"{LOGINS}?{query}")
    assert answer.status_code == 200
    return list(answer.json()["result"])


def test_sign_in_is_told_whole(as_user: APIClient, user: Membership) -> None:
    log_in(user.user.email)
    (told,) = listed(as_user)
    assert {**told, "id": None, "login_at": None} == {
        "id": None,
        "login_at": None,
        "ip_address": "127.0.0.1",
        "user_agent": "",
        "is_successful": True,
        "auth_type": "jwt",
        "user": user.user_id,
    }
    assert told["login_at"].endswith("Z")


def test_sign_in_at_the_portal_is_told_too(
    as_user: APIClient, user: Membership, client: Client
) -> None:
    credentials = {"login": user.user.email, "password": PASSWORD}
    client.post("/sign-in/", credentials, HTTP_USER_AGENT="Mozilla/5.0")
    (told,) = listed(as_user)
    assert (told["is_successful"], told["auth_type"], told["user_agent"]) == (
        True,
        "password",
        "Mozilla/5.0",
    )


def test_newest_comes_first(as_user: APIClient, user: Membership) -> None:
    log_in(user.user.email, "wrong")
    log_in(user.user.email)
    assert [each["is_successful"] for each in listed(as_user)] == [True, False]


def test_administrators_see_those_of_all_users(
    as_administrator: APIClient, administrator: Membership, user: Membership
) -> None:
    for member in (user, administrator):
        log_in(member.user.email)
    told = [each["user"] for each in listed(as_administrator)]
    assert told == [administrator.user_id, user.user_id]


def test_others_see_their_own(
    as_user: APIClient, administrator: Membership, user: Membership
) -> None:
    for member in (user, administrator):
        log_in(member.user.email)
    assert [each["user"] for each in listed(as_user)] == [user.user_id]


def test_nobody_sees_those_of_another_account(
    as_administrator: APIClient, stranger: Membership
) -> None:
    log_in(stranger.user.email)
    log_in("nobody@example.com", "wrong")
    answer = as_administrator.get(LOGINS).json()
    assert (answer["count"], answer["result"]) == (0, [])


def test_list_comes_in_pages(as_user: APIClient, user: Membership) -> None:
    for _time in range(3):
        log_in(user.user.email)
    every = [each["id"] for each in listed(as_user)]
    page = as_user.get(f"{LOGINS}?limit=2").json()
    assert [each["id"] for each in page["result"]] == every[:2]
    assert (page["count"], page["next"], page["previous"]) == (
        3,
        f"{LOGINS}?limit=2&offset=2",
        None,
    )


def test_list_costs_the_same_for_many_as_for_few(
    administrator: Membership,
    user: Membership,
    in_person: InPerson,
    django_assert_num_queries: Any,
) -> None:
    client = in_person(administrator)
    for _time in range(4):
        log_in(user.user.email, "wrong")
    MembershipFactory.create_batch(5, account=user.account)
    # One to authenticate; the people of the account; two for each of four parts (successful or not,
    # in the account or outside), how many there are and the latest; these events.
    with django_assert_num_queries(11):
        assert len(listed(client)) == 5
