"""What ended while a request was on its way does not act any more."""

from datetime import datetime, timedelta

import pytest
from django.core.exceptions import PermissionDenied

from accounts.authorization.actor import Actor, EntryPoint
from accounts.members import services as members
from accounts.models import AuditEvent, Membership
from accounts.roles import Role
from apitokens.models import APIToken
from apitokens.tokens import services as token_services
from tests.conftest import Issue

pytestmark = pytest.mark.django_db


def acting(token: APIToken) -> Actor:
    """The actor that authentication leaves with a request of this token."""
    return Actor.token(
        token.issuer, token_id=token.pk, role=token.held_role, ends_at=token.expires_at
    )


def test_a_token_deleted_meanwhile_leaves_no_successor(
    administrator: Membership, issue: Issue, now: datetime
) -> None:
    token = issue(administrator, role=Role.ADMINISTRATORS).token
    by = acting(token)
    token_services.delete(token=token, by=Actor.member(administrator), at=now)
    with pytest.raises(PermissionDenied):
        issue(administrator, by=by)
    assert APIToken.objects.count() == 1


def test_a_token_that_expired_meanwhile_deletes_nothing(
    administrator: Membership, issue: Issue, now: datetime
) -> None:
    victim = issue(administrator).token
    by = acting(issue(administrator, expires_at=now + timedelta(minutes=1)).token)
    with pytest.raises(PermissionDenied):
        token_services.delete(token=victim, by=by, at=now + timedelta(minutes=2))
    victim.refresh_from_db()
    assert not victim.is_deleted


def test_a_member_removed_meanwhile_deletes_nothing(
    administrator: Membership, engineer: Membership, issue: Issue, now: datetime
) -> None:
    second = members.add_member(
        account=administrator.account,
        user=engineer.user.__class__.objects.create_user("second@example.com"),
        role=Role.ADMINISTRATORS,
        by=Actor.operator(through=EntryPoint.COMMAND),
        at=now,
    )
    victim, by = issue(engineer).token, Actor.member(second)
    members.remove_member(membership=second, by=Actor.member(administrator), at=now)
    with pytest.raises(PermissionDenied):
        token_services.delete(token=victim, by=by, at=now)


def test_an_administrator_demoted_meanwhile_acts_with_the_new_role(
    administrator: Membership, engineer: Membership, issue: Issue, now: datetime
) -> None:
    victim, by = issue(engineer).token, Actor.member(administrator)
    Membership.objects.filter(pk=administrator.pk).update(role=Role.USERS)
    with pytest.raises(PermissionDenied):
        token_services.delete(token=victim, by=by, at=now)


def test_a_refused_deletion_is_on_the_record(
    administrator: Membership, issue: Issue, now: datetime
) -> None:
    strong = issue(administrator, role=Role.ADMINISTRATORS).token
    weak = issue(administrator, role=Role.USERS).token
    with pytest.raises(PermissionDenied):
        token_services.delete(token=strong, by=acting(weak), at=now)
    event = AuditEvent.objects.get(kind="token.delete_refused")
    assert (event.through_token, event.subject_id) == (weak.pk, strong.pk)


def test_an_attempt_to_issue_in_anothers_name_is_on_the_record(
    administrator: Membership, engineer: Membership, issue: Issue
) -> None:
    with pytest.raises(PermissionDenied):
        issue(engineer, by=Actor.member(administrator))
    assert AuditEvent.objects.get(kind="token.issue_refused").details["code"] == "forbidden"
