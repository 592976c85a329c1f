"""A refresh token is good once, and what ends a sign-in ends its access tokens too, at once."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from django.core.exceptions import PermissionDenied
from django.utils import timezone
from rest_framework.test import APIClient

from accounts.authorization.actor import Actor, EntryPoint
from accounts.jwt import token_families
from accounts.members import services as members
from accounts.models import Account, AuditEvent, Membership, TokenFamily
from accounts.roles import Role
from accounts.users import services as user_services
from tests.accounts.jwt.conftest import (
    ENDED,
    ME,
    REFRESH,
    PairOf,
    is_good,
    log_in,
    post,
    turn_in,
    with_access,
)
from tests.concurrency import outcomes
from tests.conftest import Api, Issue
from tests.factories import ACCOUNT_ID, MembershipFactory

pytestmark = pytest.mark.django_db

OPERATOR = Actor.operator(through=EntryPoint.COMMAND)
START = datetime(2027, 1, 1, tzinfo=UTC)


def ended(answer: Any) -> bool:
    return bool((answer.status_code, answer.json()) == (401, ENDED))


# --- Refreshing --------------------------------------------------------------------------------


def test_refresh_token_gets_a_new_pair_that_works(user: Membership, pair_of: PairOf) -> None:
    first = pair_of(user)
    second = turn_in(first["refresh"]).json()
    assert is_good(second)
    assert {*first.values()}.isdisjoint(second.values())


def test_older_clients_call_it_token(user: Membership, pair_of: PairOf) -> None:
    assert post(REFRESH, {"token": pair_of(user)["refresh"]}).status_code == 200


def test_chain_goes_on(user: Membership, pair_of: PairOf) -> None:
    pair = pair_of(user)
    for _time in range(5):
        pair = turn_in(pair["refresh"]).json()
    assert is_good(pair)


def test_access_token_of_before_stays_good_for_its_hour(user: Membership, pair_of: PairOf) -> None:
    pair = pair_of(user)
    turn_in(pair["refresh"])
    assert is_good(pair)


def test_refresh_token_works_once(user: Membership, pair_of: PairOf) -> None:
    refresh = pair_of(user)["refresh"]
    turn_in(refresh)
    assert ended(turn_in(refresh))


def test_reuse_ends_the_whole_family(user: Membership, pair_of: PairOf) -> None:
    first = pair_of(user)
    second = turn_in(first["refresh"]).json()
    turn_in(first["refresh"])
    assert not is_good(first)
    assert not is_good(second)
    assert ended(turn_in(second["refresh"]))


def test_reuse_is_on_the_record_of_the_account(user: Membership, pair_of: PairOf) -> None:
    refresh = pair_of(user)["refresh"]
    for _time in range(3):
        turn_in(refresh)
    event = AuditEvent.objects.get(kind="jwt.reused")
    assert (event.account_id, event.user, event.address) == (
        user.account_id,
        user.user,
        "127.0.0.1",
    )


def test_reuse_ends_no_other_sign_in(
    user: Membership, administrator: Membership, pair_of: PairOf
) -> None:
    others = [pair_of(user), pair_of(administrator)]
    refresh = pair_of(user)["refresh"]
    for _time in range(2):
        turn_in(refresh)
    assert all(map(is_good, others))


@pytest.mark.both
@pytest.mark.django_db(transaction=True)
def test_of_parallel_refreshes_with_one_token_one_gets_a_pair_and_then_the_family_ends(
    user: Membership, pair_of: PairOf
) -> None:
    pair = pair_of(user)
    deed = {"member": user.pk, "does": "refresh", "refresh": pair["refresh"]}
    assert outcomes([deed] * 8) == {"refreshed": 1, "invalid": 7}
    assert not TokenFamily.objects.live(timezone.now()).exists()
    assert AuditEvent.objects.filter(kind="jwt.reused").count() == 1
    assert not is_good(pair)


# --- Time --------------------------------------------------------------------------------------


def test_access_token_is_good_for_an_hour(user: Membership, pair_of: PairOf) -> None:
    with time_machine.travel(START, tick=False):
        pair = pair_of(user)
    with time_machine.travel(START + timedelta(minutes=59, seconds=59), tick=False):
        assert is_good(pair)
    with time_machine.travel(START + timedelta(hours=1), tick=False):
        assert not is_good(pair)


def test_refresh_token_is_good_for_a_day(user: Membership, pair_of: PairOf) -> None:
    with time_machine.travel(START, tick=False):
        first, second = pair_of(user), pair_of(user)
    with time_machine.travel(START + timedelta(hours=23, minutes=59), tick=False):
        assert turn_in(first["refresh"]).status_code == 200
    with time_machine.travel(START + timedelta(hours=24), tick=False):
        assert ended(turn_in(second["refresh"]))


def test_refreshed_pair_has_a_day_of_its_own(user: Membership, pair_of: PairOf) -> None:
    with time_machine.travel(START, tick=False):
        pair = pair_of(user)
    with time_machine.travel(START + timedelta(hours=20), tick=False):
        pair = turn_in(pair["refresh"]).json()
    with time_machine.travel(START + timedelta(hours=40), tick=False):
        assert turn_in(pair["refresh"]).status_code == 200


def test_families_that_nobody_can_use_any_more_are_forgotten(
    user: Membership, pair_of: PairOf, now: datetime
) -> None:
    pair = pair_of(user)
    TokenFamily.objects.create(
        user=user.user, membership=user, created_at=now, expires_at=now - timedelta(seconds=1)
    )
    assert [token_families.delete_expired(at=timezone.now()) for _time in range(2)] == [1, 0]
    assert is_good(pair)


# --- What ends it ------------------------------------------------------------------------------


def all_is_over(pair: dict[str, str]) -> bool:
    return ended(with_access(pair["access"]).get(ME)) and ended(turn_in(pair["refresh"]))


def test_another_password_ends_it(user: Membership, pair_of: PairOf, now: datetime) -> None:
    pair = pair_of(user)
    user_services.set_password(user=user.user, password="a whole new horse", by=OPERATOR, at=now)
    assert all_is_over(pair)


def test_deactivation_ends_it_for_good(user: Membership, pair_of: PairOf, now: datetime) -> None:
    pair = pair_of(user)
    user_services.deactivate_user(user=user.user, by=OPERATOR, at=now)
    assert all_is_over(pair)
    user_services.reactivate_user(user=user.user, by=OPERATOR, at=now)
    assert all_is_over(pair)


def test_removal_ends_it_for_good(
    user: Membership, administrator: Membership, pair_of: PairOf, now: datetime
) -> None:
    pair, by = pair_of(user), Actor.member(administrator)
    members.remove_member(membership=user, by=by, at=now)
    assert all_is_over(pair)
    members.add_member(account=user.account, user=user.user, role=Role.USERS, by=by, at=now)
    assert all_is_over(pair)


def test_access_token_of_a_former_member_is_refused(
    user: Membership, pair_of: PairOf, now: datetime
) -> None:
    """Whatever has ended the membership: also if it did not think of these tokens."""
    pair = pair_of(user)
    Membership.objects.filter(pk=user.pk).update(removed_at=now)
    assert not is_good(pair)
    assert turn_in(pair["refresh"]).status_code == 401


def test_removal_from_one_account_does_not_end_it_in_another(
    user: Membership, administrator: Membership, pair_of: PairOf, now: datetime
) -> None:
    other = MembershipFactory.create(user=user.user)
    access = pair_of(user)["access"]
    elsewhere = with_access(access).get(f"/iam/auth/jwt/clients/{other.account_id}/login").json()
    members.remove_member(membership=user, by=Actor.member(administrator), at=now)
    assert is_good(elsewhere)


def test_closed_account_lets_nobody_in_until_it_is_opened_again(
    user: Membership, pair_of: PairOf, now: datetime
) -> None:
    pair = pair_of(user)
    Account.objects.update(closed_at=now)
    assert all_is_over(pair)
    Account.objects.update(closed_at=None)
    assert turn_in(pair["refresh"]).status_code == 200


def test_leaving_ends_it(user: Membership, pair_of: PairOf, now: datetime) -> None:
    pair = pair_of(user)
    members.leave_account(membership=user, by=Actor.member(user), at=now)
    assert all_is_over(pair)


def test_role_that_was_lowered_counts_at_once(
    administrator: Membership, engineer: Membership, pair_of: PairOf
) -> None:
    client = with_access(pair_of(administrator)["access"])
    assert len(client.get("/iam/users").json()) == 2
    Membership.objects.filter(pk=administrator.pk).update(role=Role.USERS)
    assert len(client.get("/iam/users").json()) == 1


# --- Another account ---------------------------------------------------------------------------


@pytest.fixture
def elsewhere(user: Membership) -> Membership:
    """The same person as a member of another account."""
    return MembershipFactory.create(user=user.user, role=Role.ENGINEERS)


def switch(access: str, account_id: int) -> Any:
    return with_access(access).get(f"/iam/auth/jwt/clients/{account_id}/login")


def pair_elsewhere(access: str, member: Membership) -> dict[str, str]:
    answer = switch(access, member.account_id)
    assert answer.status_code == 200
    return dict(answer.json())


def test_person_changes_to_another_account_of_theirs(
    user: Membership, elsewhere: Membership, pair_of: PairOf
) -> None:
    first = pair_of(user)
    second = pair_elsewhere(first["access"], elsewhere)
    assert with_access(second["access"]).get("/iam/clients/me").json()["id"] == elsewhere.account_id
    assert with_access(first["access"]).get("/iam/clients/me").json()["id"] == user.account_id


def test_role_there_is_the_one_that_counts_there(
    administrator: Membership, pair_of: PairOf
) -> None:
    weak = MembershipFactory.create(user=administrator.user, role=Role.USERS)
    MembershipFactory.create(account=weak.account)
    pair = pair_elsewhere(pair_of(administrator)["access"], weak)
    assert len(with_access(pair["access"]).get("/iam/users").json()) == 1


@pytest.mark.parametrize("account_id", [0, 5, 10**30])
def test_account_that_does_not_exist_cannot_be_changed_to(
    user: Membership, pair_of: PairOf, account_id: int
) -> None:
    answer = switch(pair_of(user)["access"], account_id)
    assert (answer.status_code, answer.json()) == (404, {"message": "Account not found."})


def test_account_of_others_cannot_be_told_from_one_that_does_not_exist(
    user: Membership, stranger: Membership, pair_of: PairOf
) -> None:
    answer = switch(pair_of(user)["access"], stranger.account_id)
    assert (answer.status_code, answer.json()) == (404, {"message": "Account not found."})


def test_account_that_one_has_left_cannot_be_changed_to(
    user: Membership, elsewhere: Membership, pair_of: PairOf, now: datetime
) -> None:
    access = pair_of(user)["access"]
    Membership.objects.filter(pk=elsewhere.pk).update(removed_at=now)
    assert switch(access, elsewhere.account_id).status_code == 404


def test_api_token_stays_in_its_account(
    user: Membership, elsewhere: Membership, issue: Issue, api: Api
) -> None:
    url = f"/iam/auth/jwt/clients/{elsewhere.account_id}/login"
    answer = api(issue(user).key).get(url)
    assert answer.status_code == 403
    assert not TokenFamily.objects.exists()


def test_reuse_ends_what_was_changed_to_as_well(
    user: Membership, elsewhere: Membership, pair_of: PairOf
) -> None:
    first = pair_of(user)
    second = pair_elsewhere(first["access"], elsewhere)
    for _time in range(2):
        turn_in(first["refresh"])
    assert all_is_over(second)


def test_reuse_over_there_ends_it_here_as_well(
    user: Membership, elsewhere: Membership, pair_of: PairOf
) -> None:
    first = pair_of(user)
    second = pair_elsewhere(first["access"], elsewhere)
    for _time in range(2):
        turn_in(second["refresh"])
    assert all_is_over(first)


# --- What it is good for -----------------------------------------------------------------------


def test_bearer_issues_and_deletes_tokens_like_an_api_token(
    user: Membership, pair_of: PairOf
) -> None:
    client = with_access(pair_of(user)["access"])
    url = f"/iam/clients/{user.account_id}/tokens"
    made = client.post(url, {"name": "CI", "exp_date": None, "client_user": {}}, format="json")
    assert made.status_code == 200
    assert client.delete(f"{url}/{made.json()['id']}").status_code == 204
    event = AuditEvent.objects.get(kind="token.issued")
    assert (event.through, event.through_token, event.user) == ("api", None, user.user)


def test_authentication_costs_one_query(
    user: Membership, pair_of: PairOf, django_assert_num_queries: Any
) -> None:
    pair = pair_of(user)
    with django_assert_num_queries(1):
        token_families.authenticate_access_token(pair["access"], at=timezone.now(), address=None)


def test_scheme_is_read_in_any_case(user: Membership, pair_of: PairOf) -> None:
    access = pair_of(user)["access"]
    for scheme in ("bearer", "BEARER", "BeArEr"):
        assert APIClient(headers={"Authorization": f"{scheme} {access}"}).get(ME).status_code == 200


def test_pages_do_not_take_tokens(user: Membership, pair_of: PairOf) -> None:
    answer = with_access(pair_of(user)["access"]).get(f"/accounts/{ACCOUNT_ID}/api-tokens/")
    assert (answer.status_code, answer["Location"].split("?")[0]) == (302, "/sign-in/")


def test_sign_in_that_ended_meanwhile_decides_nothing(
    administrator: Membership, user: Membership, pair_of: PairOf, now: datetime
) -> None:
    by = token_families.authenticate_access_token(
        pair_of(administrator)["access"], at=timezone.now(), address=None
    )
    TokenFamily.objects.update(ended_at=now)
    with pytest.raises(PermissionDenied):
        members.remove_member(membership=user, by=by, at=timezone.now())


def test_wrong_password_later_does_not_end_it(user: Membership, pair_of: PairOf) -> None:
    pair = pair_of(user)
    log_in(user.user.email, "wrong")
    assert is_good(pair)
