"""Handing tokens over: the same id and secret, another issuer; nobody gets more than they had."""

from datetime import datetime, timedelta

import pytest
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts.authorization.actor import Actor, EntryPoint
from accounts.members import services as members
from accounts.members import suspension
from accounts.models import Account, AuditEvent, Membership, ServiceAccount
from accounts.roles import Role
from accounts.service_accounts import services as service_accounts
from accounts.users import services as users
from apitokens.models import APIToken
from apitokens.tokens import rotation
from apitokens.tokens import services as tokens
from apitokens.tokens.handover import hand_over, hand_over_all_of
from apitokens.verification.refusals import Refused
from apitokens.verification.verify import verify
from notifications.models import Notice
from tests.factories import MembershipFactory, acting, issue, service_account

pytestmark = [pytest.mark.django_db, pytest.mark.both]

OPERATOR = Actor.operator(through=EntryPoint.COMMAND)


@pytest.fixture
def deploys(account: Account, now: datetime) -> ServiceAccount:
    return service_account(account, at=now)


def test_token_keeps_its_id_and_secret_and_acts_for_the_receiver(
    account: Account,
    administrator: Membership,
    engineer: Membership,
    deploys: ServiceAccount,
    now: datetime,
) -> None:
    token, key = issue(engineer, at=now)

    (handed,) = hand_over(
        account=account,
        token_ids=[token.pk],
        to=deploys.membership,
        by=Actor.member(administrator),
        at=now,
    )

    verified = verify(presented=key.spell(), at=now)
    assert (verified.token_id, verified.user_id) == (token.pk, deploys.membership.user_id)
    assert handed.issuer == deploys.membership
    event = AuditEvent.objects.get(kind="token.handed_over")
    assert (event.subject_id, event.user) == (token.pk, administrator.user)
    assert event.details["former_issuer"] == engineer.user_id
    assert event.details["issuer"] == deploys.membership.user_id


@pytest.mark.usefixtures("memory")
def test_token_in_the_cache_acts_for_the_receiver_without_interruption(
    account: Account,
    administrator: Membership,
    engineer: Membership,
    now: datetime,
    django_capture_on_commit_callbacks: object,
) -> None:
    token, key = issue(engineer, at=now)
    assert verify(presented=key.spell(), at=now).user_id == engineer.user_id
    by = Actor.member(administrator)

    with django_capture_on_commit_callbacks(execute=True):  # type: ignore[operator]  # a fixture
        hand_over(account=account, token_ids=[token.pk], to=administrator, by=by, at=now)

    assert verify(presented=key.spell(), at=now).user_id == administrator.user_id


def test_only_administrators_of_the_account_and_operators_hand_over(
    account: Account,
    administrator: Membership,
    engineer: Membership,
    stranger: Membership,
    deploys: ServiceAccount,
    now: datetime,
) -> None:
    token = issue(engineer, at=now).token
    to = deploys.membership

    weak = acting(administrator, Role.ENGINEERS, at=now)
    for by in (Actor.member(engineer), Actor.member(stranger), weak):
        with pytest.raises(PermissionDenied):
            hand_over(account=account, token_ids=[token.pk], to=to, by=by, at=now)
        with pytest.raises(PermissionDenied):
            hand_over_all_of(issuer=engineer, to=to, by=by, at=now)
    assert hand_over(account=account, token_ids=[token.pk], to=to, by=OPERATOR, at=now)


def test_tokens_of_another_account_are_left_alone(
    account: Account, administrator: Membership, stranger: Membership, now: datetime
) -> None:
    token = issue(stranger, at=now).token
    by = Actor.member(administrator)

    assert not hand_over(account=account, token_ids=[token.pk], to=administrator, by=by, at=now)
    with pytest.raises(PermissionDenied):
        hand_over_all_of(issuer=stranger, to=administrator, by=by, at=now)
    with pytest.raises(ValidationError) as refused:
        hand_over(account=account, token_ids=[], to=stranger, by=by, at=now)
    assert refused.value.code == "receiver_gone"


def test_receiver_must_have_the_role_of_every_token_and_all_stay_otherwise(
    account: Account, administrator: Membership, user: Membership, now: datetime
) -> None:
    by = Actor.member(administrator)
    weak = issue(administrator, role=Role.USERS, at=now).token
    strong = issue(administrator, role=Role.ENGINEERS, at=now).token

    with pytest.raises(ValidationError) as refused:
        hand_over(account=account, token_ids=[weak.pk, strong.pk], to=user, by=by, at=now)

    assert refused.value.code == "role_too_high"
    assert APIToken.objects.filter(issuer=administrator).count() == 2
    assert AuditEvent.objects.filter(kind="token.hand_over_refused").exists()


def test_receiver_must_be_able_to_use_them(
    account: Account,
    administrator: Membership,
    engineer: Membership,
    deploys: ServiceAccount,
    now: datetime,
) -> None:
    by = Actor.member(administrator)
    token = issue(engineer, at=now).token
    gone = MembershipFactory.create(account=account, removed_at=now)
    away = MembershipFactory.create(account=account, sso_at=now, tokens_suspended_at=now)
    service_accounts.switch(service_account=deploys, is_on=False, by=by, at=now)

    for receiver, code in (
        (gone, "receiver_gone"),
        (away, "receiver_suspended"),
        (deploys.membership, "receiver_off"),
    ):
        with pytest.raises(ValidationError) as refused:
            hand_over(account=account, token_ids=[token.pk], to=receiver, by=by, at=now)
        assert refused.value.code == code


def test_tokens_that_have_ended_are_left_as_they_are(
    account: Account, administrator: Membership, engineer: Membership, now: datetime
) -> None:
    by = Actor.member(administrator)
    deleted = issue(engineer, at=now).token
    tokens.delete(token=deleted, by=by, at=now)
    expired = issue(engineer, at=now, expires_at=now + timedelta(hours=1)).token
    later = now + timedelta(hours=2)

    for token in (deleted, expired):
        assert not hand_over(
            account=account, token_ids=[token.pk], to=administrator, by=by, at=later
        )


def test_tokens_of_a_deactivated_user_work_again_with_another_issuer(
    account: Account,
    administrator: Membership,
    engineer: Membership,
    deploys: ServiceAccount,
    now: datetime,
) -> None:
    key = issue(engineer, at=now).key
    users.deactivate_user(user=engineer.user, by=OPERATOR, at=now)
    with pytest.raises(Refused):
        verify(presented=key.spell(), at=now)

    by = Actor.member(administrator)
    hand_over_all_of(issuer=engineer, to=deploys.membership, by=by, at=now)

    assert verify(presented=key.spell(), at=now).user_id == deploys.membership.user_id


def test_old_secret_of_a_rotated_token_goes_on_after_a_handover(
    account: Account, administrator: Membership, engineer: Membership, now: datetime
) -> None:
    token, old = issue(engineer, at=now)
    new = rotation.rotate(token=token, by=Actor.member(engineer), at=now).key

    by = Actor.member(administrator)
    hand_over(account=account, token_ids=[token.pk], to=administrator, by=by, at=now)

    for key in (old, new):
        verified = verify(presented=key.spell(), at=now)
        assert verified.user_id == administrator.user_id
    with pytest.raises(PermissionDenied):
        rotation.rotate(token=token, by=Actor.member(engineer), at=now)


def test_request_under_way_with_the_token_acts_no_more(
    account: Account, administrator: Membership, engineer: Membership, now: datetime
) -> None:
    by = acting(engineer, Role.USERS, at=now)
    issue(engineer, by=by, at=now)
    assert by.token_id is not None

    admin = Actor.member(administrator)
    hand_over(account=account, token_ids=[by.token_id], to=administrator, by=admin, at=now)

    with pytest.raises(PermissionDenied, match="no longer valid"):
        issue(engineer, by=by, at=now)


def test_both_sides_are_told_once_and_not_who_acted(
    account: Account, administrator: Membership, engineer: Membership, now: datetime
) -> None:
    receiver = MembershipFactory.create(account=account, role=Role.ENGINEERS)
    some = [issue(engineer, at=now).token for _ in range(3)]

    hand_over(
        account=account,
        token_ids=[each.pk for each in some],
        to=receiver,
        by=Actor.member(administrator),
        at=now,
    )

    assert {notice.user_id: notice.title for notice in Notice.objects.all()} == {
        engineer.user_id: f"“{administrator.user.name}” handed over 3 of your API tokens to "
        f"“{receiver.user.name}”",
        receiver.user_id: f"“{administrator.user.name}” handed over 3 API tokens of "
        f"“{engineer.user.name}” to you",
    }


def test_member_is_removed_and_their_tokens_go_on(
    administrator: Membership, engineer: Membership, deploys: ServiceAccount, now: datetime
) -> None:
    by = Actor.member(administrator)
    key = issue(engineer, at=now).key

    members.remove_member(membership=engineer, hand_over_to=deploys.membership, by=by, at=now)

    engineer.refresh_from_db()
    assert engineer.is_removed
    assert verify(presented=key.spell(), at=now).user_id == deploys.membership.user_id


def test_member_stays_if_the_receiver_may_not_have_the_tokens(
    administrator: Membership, engineer: Membership, user: Membership, now: datetime
) -> None:
    by = Actor.member(administrator)
    token = issue(engineer, role=Role.ENGINEERS, at=now).token

    with pytest.raises(ValidationError):
        members.remove_member(membership=engineer, hand_over_to=user, by=by, at=now)
    with pytest.raises(PermissionDenied, match="as they have active tokens"):
        members.remove_member(membership=engineer, hand_over_to=engineer, by=by, at=now)

    engineer.refresh_from_db()
    assert not engineer.is_removed
    assert APIToken.objects.get(pk=token.pk).issuer == engineer


def test_administrator_does_not_revive_their_own_suspended_tokens(
    account: Account, administrator: Membership, now: datetime
) -> None:
    Membership.objects.filter(pk=administrator.pk).update(sso_at=now)
    administrator.refresh_from_db()
    robot = service_account(account, at=now, role=Role.ADMINISTRATORS)
    token, key = issue(administrator, at=now)
    assert suspension.suspend_tokens(membership=administrator, by=OPERATOR, at=now)

    with pytest.raises(ValidationError, match="Sign in through single sign-on"):
        hand_over_all_of(
            issuer=administrator, to=robot.membership, by=Actor.member(administrator), at=now
        )
    with pytest.raises(Refused):
        verify(presented=key.spell(), at=now)
    assert AuditEvent.objects.get(kind="token.hand_over_refused").details["code"] == "suspended"
    other = MembershipFactory.create(account=account, role=Role.ADMINISTRATORS)
    assert hand_over_all_of(
        issuer=administrator, to=robot.membership, by=Actor.member(other), at=now
    ) == [token]


def test_number_of_statements_does_not_grow_with_the_tokens(
    administrator: Membership, engineer: Membership, user: Membership, now: datetime
) -> None:
    statements = list[int]()
    for issuer, number in ((engineer, 2), (user, 20)):
        for place in range(number):
            issue(issuer, name=f"Token {place}", at=now)
        with CaptureQueriesContext(connection) as queries:
            handed = hand_over_all_of(
                issuer=issuer, to=administrator, by=Actor.member(administrator), at=now
            )
        assert len(handed) == number
        statements.append(len(queries))
    assert statements[0] == statements[1]
