"""Members of an account: joining, leaving, and what holds them back."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import IntegrityError, transaction

from accounts.account import services as account_services
from accounts.authorization.actor import Actor, EntryPoint
from accounts.members import services as members
from accounts.models import AuditEvent, Membership, TokenFamily
from accounts.roles import Role
from accounts.signals import standing_changed
from accounts.users import services as user_services
from apitokens.models import APIToken
from apitokens.tokens import services as tokens
from tests.conftest import Issue
from tests.factories import MembershipFactory, UserFactory, acting

pytestmark = pytest.mark.django_db

OPERATOR = Actor.operator(through=EntryPoint.COMMAND)
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
        {"user": user.pk, "role": "Users"},
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
    by = acting(administrator, Role.ADMINISTRATORS, at=now)
    members.remove_member(membership=user, by=by, at=now)
    assert AuditEvent.objects.get(kind="member.removed").through_token == by.token_id


def test_weak_token_of_an_administrator_may_not(
    administrator: Membership, user: Membership, now: datetime
) -> None:
    by = acting(administrator, Role.ENGINEERS, at=now)
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
    with pytest.raises(PermissionDenied, match="last Administrator"):
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


def test_removal_is_idempotent(administrator: Membership, user: Membership, now: datetime) -> None:
    for hours in (0, 1):
        at = now + timedelta(hours=hours)
        members.remove_member(membership=user, by=Actor.member(administrator), at=at)
    user.refresh_from_db()
    assert user.removed_at == now
    assert AuditEvent.objects.filter(kind="member.removed").count() == 1


def test_removal_is_repeated_for_nobody(
    administrator: Membership, user: Membership, now: datetime
) -> None:
    by = Actor.member(administrator)
    assert members.remove_member(membership=user, by=by, at=now)
    assert not members.remove_member(membership=user, by=by, at=now)


def test_active_tokens_go_in_the_same_step_if_the_administrator_says_so(
    administrator: Membership, user: Membership, issue: Issue, now: datetime
) -> None:
    token = issue(user).token
    elsewhere = issue(MembershipFactory.create(user=user.user)).token
    by = Actor.member(administrator)
    members.remove_member(membership=user, delete_tokens=True, by=by, at=now)
    token.refresh_from_db()
    elsewhere.refresh_from_db()
    assert not is_present(user)
    assert (token.deleted_at, token.deleted_by) == (now, administrator.user)
    assert not elsewhere.is_deleted
    assert AuditEvent.objects.get(kind="token.deleted").subject_id == token.pk


def test_tokens_stay_when_the_removal_is_refused(
    administrator: Membership, issue: Issue, now: datetime
) -> None:
    token = issue(administrator).token
    by = Actor.member(administrator)
    with pytest.raises(PermissionDenied, match="last Administrator"):
        members.remove_member(membership=administrator, delete_tokens=True, by=by, at=now)
    token.refresh_from_db()
    assert not token.is_deleted


def test_token_removes_its_own_issuer_and_itself(administrator: Membership, now: datetime) -> None:
    other = MembershipFactory.create(account=administrator.account)
    by = acting(other, Role.ADMINISTRATORS, at=now)
    acting(other, Role.USERS, at=now)
    members.remove_member(membership=other, delete_tokens=True, by=by, at=now)
    assert not is_present(other)
    assert not APIToken.objects.active(now).exists()


def test_removed_administrator_removes_nobody_any_more(
    administrator: Membership, user: Membership, now: datetime
) -> None:
    other = MembershipFactory.create(account=administrator.account)
    by = Actor.member(other)
    members.remove_member(membership=other, by=Actor.member(administrator), at=now)
    with pytest.raises(PermissionDenied, match="no longer belong"):
        members.remove_member(membership=user, by=by, at=now)


def test_deleted_token_removes_nobody_any_more(
    administrator: Membership, user: Membership, now: datetime
) -> None:
    by = acting(administrator, Role.ADMINISTRATORS, at=now)
    tokens.delete(token=APIToken.objects.get(), by=Actor.member(administrator), at=now)
    with pytest.raises(PermissionDenied, match="no longer valid"):
        members.remove_member(membership=user, by=by, at=now)


def test_ended_sign_in_through_the_api_removes_nobody_any_more(
    administrator: Membership, user: Membership, now: datetime
) -> None:
    family = TokenFamily.objects.create(
        user=administrator.user,
        membership=administrator,
        created_at=now,
        expires_at=now + timedelta(hours=1),
    )
    by = Actor.bearer(administrator, family_id=family.pk)
    user_services.set_password(
        user=administrator.user,
        password="a new and long pass phrase",
        by=Actor.member(administrator),
        at=now,
    )
    with pytest.raises(PermissionDenied, match="session has ended"):
        members.remove_member(membership=user, by=by, at=now)


def test_operator_who_was_switched_off_does_nothing_any_more(
    user: Membership, now: datetime
) -> None:
    operator = UserFactory.create(is_staff=True, is_superuser=True)
    by = Actor.operator(through=EntryPoint.ADMIN, user=operator)
    user_services.deactivate_user(user=operator, by=OPERATOR, at=now)
    with pytest.raises(PermissionDenied):
        members.remove_member(membership=user, by=by, at=now)
    assert is_present(user)


# --- Leaving by one's own wish -----------------------------------------------------------------


@pytest.mark.parametrize("role", WEAKER)
def test_everybody_may_leave(administrator: Membership, now: datetime, role: Role) -> None:
    member = MembershipFactory.create(account=administrator.account, role=role)
    members.leave_account(membership=member, by=Actor.member(member), at=now)
    assert not is_present(member)
    assert AuditEvent.objects.get(kind="member.left").user == member.user


def test_nobody_leaves_for_another_member(
    administrator: Membership, user: Membership, now: datetime
) -> None:
    for by in (Actor.member(administrator), OPERATOR, acting(user, Role.USERS, at=now)):
        with pytest.raises(PermissionDenied, match="only for yourself"):
            members.leave_account(membership=user, by=by, at=now)
    assert is_present(user)


def test_last_administrator_does_not_leave(
    administrator: Membership, user: Membership, now: datetime
) -> None:
    with pytest.raises(PermissionDenied, match="last Administrator"):
        members.leave_account(membership=administrator, by=Actor.member(administrator), at=now)
    assert is_present(administrator)


def test_who_has_active_tokens_leaves_only_with_them(
    administrator: Membership, user: Membership, issue: Issue, now: datetime
) -> None:
    token = issue(user).token
    by = Actor.member(user)
    with pytest.raises(PermissionDenied, match="while you have active tokens"):
        members.leave_account(membership=user, by=by, at=now)
    assert is_present(user)
    members.leave_account(membership=user, delete_tokens=True, by=by, at=now)
    token.refresh_from_db()
    assert token.is_deleted
    assert not is_present(user)


# --- Another role ------------------------------------------------------------------------------


@pytest.mark.parametrize("role", Role)
def test_administrator_changes_a_role(administrator: Membership, now: datetime, role: Role) -> None:
    start = next(each for each in Role if each is not role)
    member = MembershipFactory.create(account=administrator.account, role=start)
    by = Actor.member(administrator)
    assert members.change_role(membership=member, role=role, by=by, at=now)
    member.refresh_from_db()
    assert member.held_role is role
    details = AuditEvent.objects.get(kind="member.role_changed").details
    assert (details["before"], details["after"]) == (start.label, role.label)


def test_setting_the_present_role_changes_nothing(
    administrator: Membership, user: Membership, now: datetime
) -> None:
    by = Actor.member(administrator)
    assert not members.change_role(membership=user, role=user.held_role, by=by, at=now)
    assert not AuditEvent.objects.exists()


@pytest.mark.parametrize("role", WEAKER)
def test_others_change_no_roles_least_of_all_their_own(
    administrator: Membership, user: Membership, now: datetime, role: Role
) -> None:
    member = MembershipFactory.create(account=administrator.account, role=role)
    for target in (member, user, administrator):
        with pytest.raises(PermissionDenied, match="Only Administrators"):
            members.change_role(
                membership=target, role=Role.ADMINISTRATORS, by=Actor.member(member), at=now
            )


def test_administrator_of_another_account_changes_no_roles(
    user: Membership, stranger: Membership, now: datetime
) -> None:
    with pytest.raises(PermissionDenied):
        members.change_role(
            membership=user, role=Role.ADMINISTRATORS, by=Actor.member(stranger), at=now
        )


@pytest.mark.parametrize("role", WEAKER)
def test_weaker_token_of_an_administrator_changes_no_roles(
    administrator: Membership, user: Membership, now: datetime, role: Role
) -> None:
    by = acting(administrator, role, at=now)
    with pytest.raises(PermissionDenied):
        members.change_role(membership=user, role=Role.ENGINEERS, by=by, at=now)


def test_role_below_that_of_an_active_token_is_refused(
    administrator: Membership, issue: Issue, now: datetime
) -> None:
    member = MembershipFactory.create(account=administrator.account, role=Role.ENGINEERS)
    issue(member, role=Role.PURGE_AND_PREFETCH_API)
    by = Actor.member(administrator)
    with pytest.raises(PermissionDenied) as refused:
        members.change_role(membership=member, role=Role.USERS, by=by, at=now)
    assert str(refused.value) == (
        "The specified user has issued a token with a higher role. Try using another role."
    )
    assert members.change_role(membership=member, role=Role.PURGE_AND_PREFETCH_API, by=by, at=now)


def test_expired_deleted_and_others_tokens_do_not_hold_a_role_up(
    administrator: Membership, issue: Issue, now: datetime
) -> None:
    member = MembershipFactory.create(account=administrator.account, role=Role.ENGINEERS)
    strong = {"role": Role.ENGINEERS}
    issue(member, at=now - timedelta(days=2), expires_at=now - timedelta(days=1), **strong)
    tokens.delete(token=issue(member, **strong).token, by=Actor.member(member), at=now)
    issue(MembershipFactory.create(user=member.user), **strong)
    issue(administrator, **strong)
    by = Actor.member(administrator)
    assert members.change_role(membership=member, role=Role.USERS, by=by, at=now)


def test_last_administrator_is_not_demoted(
    administrator: Membership, user: Membership, now: datetime
) -> None:
    for by in (Actor.member(administrator), OPERATOR):
        with pytest.raises(PermissionDenied, match="last Administrator"):
            members.change_role(membership=administrator, role=Role.ENGINEERS, by=by, at=now)
    administrator.refresh_from_db()
    assert administrator.is_administrator


def test_one_of_two_administrators_may_step_down(administrator: Membership, now: datetime) -> None:
    MembershipFactory.create(account=administrator.account)
    by = Actor.member(administrator)
    assert members.change_role(membership=administrator, role=Role.USERS, by=by, at=now)


def test_removed_member_gets_no_role(
    administrator: Membership, user: Membership, now: datetime
) -> None:
    by = Actor.member(administrator)
    members.remove_member(membership=user, by=by, at=now)
    with pytest.raises(ValidationError, match="no longer belongs"):
        members.change_role(membership=user, role=Role.ENGINEERS, by=by, at=now)


# --- What others hear of it --------------------------------------------------------------------

Change = Callable[[Membership, Actor, datetime], object]
CHANGES: dict[str, Change] = {
    "role": lambda member, by, at: members.change_role(
        membership=member, role=Role.ENGINEERS, by=by, at=at
    ),
    "removal": lambda member, by, at: members.remove_member(membership=member, by=by, at=at),
    "deactivation": lambda member, by, at: user_services.deactivate_user(
        user=member.user, by=OPERATOR, at=at
    ),
    "closing": lambda member, by, at: account_services.close_account(
        account=member.account, by=OPERATOR, at=at
    ),
}


@pytest.mark.parametrize("change", CHANGES)
def test_change_of_standing_is_announced_when_it_is_committed(
    administrator: Membership,
    user: Membership,
    now: datetime,
    change: str,
    django_capture_on_commit_callbacks: Any,
) -> None:
    heard: list[tuple[int | None, int | None]] = []

    def listen(user_id: int | None, account_id: int | None, **_facts: Any) -> None:
        heard.append((user_id, account_id))

    standing_changed.connect(listen)
    with django_capture_on_commit_callbacks(execute=True):
        CHANGES[change](user, Actor.member(administrator), now)
        assert heard == []
    about = {
        "deactivation": (user.user_id, None),
        "closing": (None, user.account_id),
    }
    assert heard == [about.get(change, (user.user_id, user.account_id))]
