"""A sign-up that nobody confirms ends by itself; one that is somebody's does not."""

from datetime import datetime, timedelta
from typing import Any

import pytest
from allauth.account.models import EmailAddress
from allauth.mfa.totp.internal.auth import TOTP, generate_totp_secret
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from pytest_django import Settings

from accounts.authorization.actor import Actor, EntryPoint
from accounts.invitations import services as invitations
from accounts.members import services as members
from accounts.models import Account, AuditEvent, Invitation, Membership, User
from accounts.roles import Role
from accounts.sign_in import registration
from accounts.tasks import discard_late_sign_ups
from notifications.models import Mail
from tests.conftest import Issue
from tests.factories import PASSWORD
from tests.outbox import mail_to, path_in

pytestmark = pytest.mark.django_db

ANN = "ann@example.com"
BY = Actor(through=EntryPoint.PORTAL)
OPERATOR = Actor.operator(through=EntryPoint.COMMAND)
WEEK = timedelta(days=7)


def sign_up(*, at: datetime) -> User:
    return registration.sign_up(
        email=ANN, password=PASSWORD, account_name="Globex", name="Ann", by=BY, at=at
    )


def discard(*, at: datetime) -> int:
    return registration.discard_late_sign_ups(at=at)


@pytest.fixture
def ann(now: datetime) -> User:
    """Somebody signed up with Ann's address a week ago."""
    return sign_up(at=now - WEEK)


def test_sign_up_that_nobody_confirms_ends_after_a_week(ann: User, now: datetime) -> None:
    assert discard(at=now) == 1

    assert not User.objects.filter(email=ANN).exists()
    assert not EmailAddress.objects.filter(email=ANN).exists()
    assert Account.objects.get(name="Globex").closed_at == now
    assert not Membership.objects.exists()


def test_end_is_on_the_record(ann: User, now: datetime) -> None:
    discard(at=now)

    event = AuditEvent.objects.get(kind="user.sign_up_discarded")
    assert (event.subject_id, event.through, event.details) == (ann.pk, "system", {"code": "late"})
    assert AuditEvent.objects.filter(kind="account.closed").count() == 1


def test_sign_up_that_is_younger_stays(now: datetime) -> None:
    sign_up(at=now - WEEK + timedelta(minutes=1))

    assert discard(at=now) == 0
    assert User.objects.filter(email=ANN).exists()


def test_operator_sets_the_number_of_days(ann: User, now: datetime, settings: Settings) -> None:
    settings.UNCONFIRMED_SIGN_UP_DAYS = 8
    assert discard(at=now) == 0

    settings.UNCONFIRMED_SIGN_UP_DAYS = 6
    assert discard(at=now) == 1


def test_task_does_it_once(ann: User) -> None:
    for _time in range(2):
        discard_late_sign_ups()

    assert AuditEvent.objects.filter(kind="user.sign_up_discarded").count() == 1


def test_address_can_be_used_again(ann: User, now: datetime) -> None:
    discard(at=now)

    assert sign_up(at=now).pk != ann.pk


def test_mails_that_wait_for_the_person_go_too(client: Client, now: datetime) -> None:
    form = {"account_name": "Globex", "email": ANN, "password1": PASSWORD}
    client.post(reverse("account_signup"), form)
    assert Mail.objects.exists()

    discard(at=now + WEEK + timedelta(minutes=1))

    assert not Mail.objects.exists()


def test_person_who_confirmed_stays(ann: User, now: datetime) -> None:
    EmailAddress.objects.filter(user=ann).update(verified=True)

    assert discard(at=now) == 0


def test_person_who_signed_in_stays(ann: User, now: datetime) -> None:
    User.objects.filter(pk=ann.pk).update(last_login=now - WEEK)

    assert discard(at=now) == 0


def test_person_with_a_second_factor_stays(ann: User, now: datetime) -> None:
    TOTP.activate(ann, generate_totp_secret())

    assert discard(at=now) == 0


def test_operator_of_the_portal_stays(ann: User, now: datetime) -> None:
    User.objects.filter(pk=ann.pk).update(is_staff=True)

    assert discard(at=now) == 0


def test_person_who_was_switched_off_stays_switched_off(ann: User, now: datetime) -> None:
    User.objects.filter(pk=ann.pk).update(is_active=False)

    assert discard(at=now) == 0


def test_member_of_an_account_with_other_people_stays(
    ann: User, administrator: Membership, now: datetime
) -> None:
    members.add_member(
        account=administrator.account, user=ann, role=Role.USERS, by=OPERATOR, at=now
    )

    assert discard(at=now) == 0


def test_account_that_somebody_was_invited_to_stays(ann: User, now: datetime) -> None:
    invitations.invite(
        account=Account.objects.get(),
        email="bob@example.com",
        role=Role.USERS,
        by=OPERATOR,
        at=now,
    )

    assert discard(at=now) == 0


def test_account_with_a_token_stays(ann: User, now: datetime, issue: Issue) -> None:
    """An operator has issued it."""
    issue(Membership.objects.get(user=ann))

    assert discard(at=now) == 0
    assert Account.objects.get().closed_at is None


def invite_ann(administrator: Membership, *, at: datetime) -> Invitation:
    return invitations.invite(
        account=administrator.account,
        email=ANN,
        role=Role.USERS,
        by=Actor.member(administrator),
        at=at,
    )


def test_invitation_outlives_the_sign_up(
    ann: User, administrator: Membership, now: datetime
) -> None:
    """The password of a stranger goes, and the person who is invited stays."""
    invitation = invite_ann(administrator, at=now)

    assert discard(at=now) == 1

    ann.refresh_from_db()
    assert not ann.has_usable_password()
    assert invitations.find(invitations.signed_id(invitation), by=BY, at=now).user == ann
    assert discard(at=now) == 0


def test_invited_person_who_signs_up_later_has_a_week_from_then(
    administrator: Membership, now: datetime
) -> None:
    invite_ann(administrator, at=now - 2 * WEEK)
    sign_up(at=now)

    assert discard(at=now + timedelta(days=1)) == 0
    assert discard(at=now + WEEK) == 1


def test_link_of_a_sign_up_that_ended_says_so(client: Client, now: datetime) -> None:
    client.post(
        reverse("account_signup"),
        {"account_name": "Globex", "email": ANN, "password1": PASSWORD},
    )
    path = path_in(mail_to(ANN))
    discard(at=timezone.now() + WEEK)

    answers: list[Any] = [client.get(path), client.post(path)]

    assert all("no longer valid" in answer.content.decode() for answer in answers)
