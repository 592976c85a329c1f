"""Members of an account: joining, leaving, and what holds them back."""

from datetime import datetime, timedelta

import pytest
from django.core.exceptions import PermissionDenied
from django.db import IntegrityError, transaction

from accounts import members
from accounts.actors import Actor, Through
from accounts.models import AuditEvent, Membership
from accounts.roles import Role
from apitokens import services as tokens
from tests.conftest import Issue
from tests.factories import MembershipFactory, UserFactory

pytestmark = pytest.mark.django_db

OPERATOR = Actor.operator(through=Through.COMMAND)
WEAKER = [role for role in Role if role is not Role.ADMINISTRATORS]


def is_present(member: Membership) -> bool:
    return Membership.objects.present().filter(pk=member.pk).exists()


# --- Joining -----------------------------------------------------------------------------------


@pytest.mark.parametrize("role", Role)
def test_administrator_adds_a_member(administrator: Membership, now: datetime, role: Role) -> None:
    member = members.add_member(
        account=administrator.account,
        user=UserFactory.create(),
        role=role,
        by=Actor.member(administrator),
        at=now,
    )
    assert is_present(member)
    assert member.held_role is role


@pytest.mark.parametrize("role", WEAKER)
def test_others_may_not_add_members(administrator: Membership, now: datetime, role: Role) -> None:
    member = MembershipFactory.create(account=administrator.account, role=role)
    with pytest.raises(PermissionDenied, match="Only Administrators"):
        members.add_member(
            account=administrator.account,
            user=UserFactory.create(),
            role=Role.USERS,
            by=Actor.member(member),
            at=now,
        )
    assert Membership.objects.count() == 2


def test_administrator_of_another_account_may_not_add_members(
    administrator: Membership, stranger: Membership, now: datetime
) -> None:
    with pytest.raises(PermissionDenied):
        members.add_member(
            account=administrator.account,
            user=stranger.user,
            role=Role.ADMINISTRATORS,
            by=Actor.member(stranger),
            at=now,
        )
    assert not administrator.account.memberships.filter(user=stranger.user).exists()


def test_removed_member_comes_back_in_the_same_row(
    administrator: Membership, user: Membership, now: datetime
) -> None:
    members.remove_member(membership=user, by=Actor.member(administrator), at=now)
    again = members.add_member(
        account=user.account, user=user.user, role=Role.ENGINEERS, by=OPERATOR, at=now
    )
    assert again.pk == user.pk
    assert is_present(again)
    assert again.held_role is Role.ENGINEERS


def test_user_is_a_member_of_an_account_only_once(user: Membership) -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        MembershipFactory.create(account=user.account, user=user.user)


def test_database_refuses_a_role_that_does_not_exist(user: Membership) -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        Membership.objects.filter(pk=user.pk).update(role=7)


def test_joining_leaves_an_event(administrator: Membership, now: datetime) -> None:
    user = UserFactory.create()
    by = Actor.member(administrator, address="192.0.2.1")
    member = members.add_member(
        account=administrator.account, user=user, role=Role.USERS, by=by, at=now
    )
    event = AuditEvent.objects.get(kind="member.added")
    assert (event.account, event.user, event.subject_id, event.details, event.address) == (
        administrator.account,
        administrator.user,
        member.pk,
        {"role": "Users"},
        "192.0.2.1",
    )


# --- Leaving -----------------------------------------------------------------------------------


def test_administrator_removes_a_member(
    administrator: Membership, user: Membership, now: datetime
) -> None:
    members.remove_member(membership=user, by=Actor.member(administrator), at=now)
    assert not is_present(user)
    event = AuditEvent.objects.get(kind="member.removed")
    assert (event.user, event.subject_id, event.at) == (administrator.user, user.pk, now)


def test_administrators_token_removes_a_member(
    administrator: Membership, user: Membership, now: datetime
) -> None:
    by = Actor.token(administrator, token_id=7, role=Role.ADMINISTRATORS, ends_at=None)
    members.remove_member(membership=user, by=by, at=now)
    assert AuditEvent.objects.get(kind="member.removed").through_token == 7


def test_weak_token_of_an_administrator_may_not(
    administrator: Membership, user: Membership, now: datetime
) -> None:
    by = Actor.token(administrator, token_id=7, role=Role.ENGINEERS, ends_at=None)
    with pytest.raises(PermissionDenied):
        members.remove_member(membership=user, by=by, at=now)
    assert is_present(user)


@pytest.mark.parametrize("role", WEAKER)
def test_others_may_not_remove_members_not_even_themselves(
    administrator: Membership, user: Membership, now: datetime, role: Role
) -> None:
    member = MembershipFactory.create(account=user.account, role=role)
    for leaving in (user, member):
        with pytest.raises(PermissionDenied, match="Only Administrators"):
            members.remove_member(membership=leaving, by=Actor.member(member), at=now)
    assert Membership.objects.present().count() == 3


def test_administrator_of_another_account_may_not_remove_members(
    user: Membership, stranger: Membership, now: datetime
) -> None:
    with pytest.raises(PermissionDenied):
        members.remove_member(membership=user, by=Actor.member(stranger), at=now)
    assert is_present(user)


def test_member_with_active_tokens_stays(
    administrator: Membership, user: Membership, issue: Issue, now: datetime
) -> None:
    issue(user)
    with pytest.raises(PermissionDenied) as refused:
        members.remove_member(membership=user, by=Actor.member(administrator), at=now)
    assert str(refused.value) == "You can't remove the user as they have active tokens"
    assert is_present(user)
    assert not AuditEvent.objects.filter(kind="member.removed").exists()


def test_not_even_an_operator_removes_a_member_with_active_tokens(
    user: Membership, issue: Issue, now: datetime
) -> None:
    issue(user)
    with pytest.raises(PermissionDenied):
        members.remove_member(membership=user, by=OPERATOR, at=now)


def test_expired_and_deleted_tokens_hold_nobody_back(
    administrator: Membership, user: Membership, issue: Issue, now: datetime
) -> None:
    issue(user, at=now - timedelta(days=2), expires_at=now - timedelta(days=1))
    tokens.delete(token=issue(user).token, by=Actor.member(user), at=now)
    members.remove_member(membership=user, by=Actor.member(administrator), at=now)
    assert not is_present(user)


def test_tokens_in_another_account_hold_nobody_back(
    administrator: Membership, user: Membership, issue: Issue, now: datetime
) -> None:
    issue(MembershipFactory.create(user=user.user))
    members.remove_member(membership=user, by=Actor.member(administrator), at=now)
    assert not is_present(user)


def test_last_administrator_stays(
    administrator: Membership, user: Membership, now: datetime
) -> None:
    with pytest.raises(PermissionDenied, match="the last one"):
        members.remove_member(membership=administrator, by=Actor.member(administrator), at=now)
    assert is_present(administrator)


def test_administrator_who_is_switched_off_does_not_count_as_another(
    administrator: Membership, now: datetime
) -> None:
    MembershipFactory.create(account=administrator.account, user__is_active=False)
    with pytest.raises(PermissionDenied):
        members.remove_member(membership=administrator, by=Actor.member(administrator), at=now)


def test_one_of_two_administrators_may_go(administrator: Membership, now: datetime) -> None:
    other = MembershipFactory.create(account=administrator.account)
    members.remove_member(membership=administrator, by=Actor.member(other), at=now)
    assert not is_present(administrator)


def test_second_removal_is_dull(administrator: Membership, user: Membership, now: datetime) -> None:
    for hours in (0, 1):
        at = now + timedelta(hours=hours)
        members.remove_member(membership=user, by=Actor.member(administrator), at=at)
    user.refresh_from_db()
    assert user.removed_at == now
    assert AuditEvent.objects.filter(kind="member.removed").count() == 1
