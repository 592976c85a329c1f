"""Promises about people that hold when several act at once: real processes, both databases."""

import pytest
from django.utils import timezone

from accounts.authorization.actor import Actor
from accounts.invitations import services as invitations
from accounts.models import AuditEvent, Invitation, Membership, User
from accounts.roles import Role
from tests.concurrency import outcomes
from tests.factories import MembershipFactory

pytestmark = [pytest.mark.both, pytest.mark.django_db(transaction=True)]


def administrators(account_id: int) -> int:
    present = Membership.objects.present()
    return present.filter(account_id=account_id, role=Role.ADMINISTRATORS).count()


@pytest.mark.parametrize("does", ["demote", "remove"])
@pytest.mark.parametrize("round_number", range(3))
def test_two_administrators_do_not_get_rid_of_each_other(
    administrator: Membership, does: str, round_number: int
) -> None:
    other = MembershipFactory.create(account=administrator.account)
    deeds = [
        {"does": does, "member": administrator.pk, "target": other.pk},
        {"does": does, "member": other.pk, "target": administrator.pk},
    ]
    told = outcomes(deeds)
    assert told.total() == 2
    assert told[{"demote": "demoted", "remove": "removed"}[does]] == 1
    assert administrators(administrator.account_id) == 1


def test_three_administrators_who_demote_in_a_ring_leave_one(administrator: Membership) -> None:
    ring = [administrator, *MembershipFactory.create_batch(2, account=administrator.account)]
    deeds = [
        {"does": "demote", "member": member.pk, "target": ring[(at + 1) % 3].pk}
        for at, member in enumerate(ring)
    ]
    outcomes(deeds)
    assert administrators(administrator.account_id) >= 1


def test_nobody_is_demoted_below_a_token_they_issue_meanwhile(administrator: Membership) -> None:
    engineer = MembershipFactory.create(account=administrator.account, role=Role.ENGINEERS)
    deeds = [
        {"does": "demote", "member": administrator.pk, "target": engineer.pk},
        *[{"does": "issue", "member": engineer.pk, "role": Role.ENGINEERS}] * 3,
    ]
    told = outcomes(deeds)
    engineer.refresh_from_db()
    assert (engineer.held_role is Role.USERS) is (told["demoted"] == 1)
    assert (told["issued"] > 0) is not (told["demoted"] == 1)


def test_limit_of_invitations_holds_when_16_are_sent_at_once(administrator: Membership) -> None:
    deeds = [
        {"does": "invite", "member": administrator.pk, "email": f"person-{number}@new.example"}
        for number in range(16)
    ]
    assert outcomes(deeds) == {"invited": 5, "too_many_invitations": 11}
    assert Invitation.objects.count() == 5


def test_many_accounts_invite_one_new_person_at_once(administrator: Membership) -> None:
    inviters = [administrator, *MembershipFactory.create_batch(7)]
    deeds = [
        {"does": "invite", "member": member.pk, "email": "new@example.com"} for member in inviters
    ]
    assert outcomes(deeds) == {"invited": 8}
    assert User.objects.filter(email="new@example.com").count() == 1


def test_invitation_that_is_accepted_8_times_at_once_is_used_once(
    administrator: Membership,
) -> None:
    invitation = invitations.invite(
        account=administrator.account,
        email="new@example.com",
        role=Role.USERS,
        by=Actor.member(administrator),
        at=timezone.now(),
    )
    deed = {"does": "accept", "member": administrator.pk, "invitation": invitation.pk}
    assert outcomes([deed] * 8) == {"accepted": 1, "used": 7}
    assert AuditEvent.objects.filter(kind="invitation.accepted").count() == 1


def test_address_that_8_people_take_at_once_is_one_s(administrator: Membership) -> None:
    people = [administrator, *MembershipFactory.create_batch(7)]
    deeds = [{"does": "be", "member": each.pk, "email": "wanted@example.com"} for each in people]
    assert outcomes(deeds) == {"changed": 1, "unique": 7}


def test_person_who_opens_an_account_8_times_at_once_gets_one(user: Membership) -> None:
    Membership.objects.filter(pk=user.pk).update(removed_at=timezone.now())
    told = outcomes([{"does": "open", "member": user.pk}] * 8)
    assert told["opened"] == 1
    assert Membership.objects.of(user.user).count() == 1
