"""Concurrent enforcement of the inactivity policy and logins, in real processes."""

from datetime import datetime, timedelta

import pytest

from accounts.models import AuditEvent, Membership
from accounts.roles import Role
from notifications.models import Notice
from sso.models import InactivityAction
from tests.concurrency import outcomes
from tests.conftest import Issue
from tests.factories import ConnectionFactory, MembershipFactory

pytestmark = [pytest.mark.both, pytest.mark.django_db(transaction=True)]

LONG_AGO = timedelta(days=100)


def away(administrator: Membership, issue: Issue, now: datetime, count: int) -> list[Membership]:
    """Members with a token each, whose last login by SSO was a hundred days ago."""
    people: list[Membership] = MembershipFactory.create_batch(
        count, account=administrator.account, role=Role.USERS, sso_at=now - LONG_AGO
    )
    for member in people:
        issue(member)
    return people


@pytest.mark.parametrize("action", [InactivityAction.NOTIFY, InactivityAction.SUSPEND])
def test_inactivity_is_handled_once_by_concurrent_processes(
    administrator: Membership, issue: Issue, now: datetime, action: InactivityAction
) -> None:
    away(administrator, issue, now, 3)
    ConnectionFactory.create(
        account=administrator.account, idle_action=action, idle_action_since=now - LONG_AGO
    )
    told = outcomes([{"does": "watch", "member": administrator.pk}] * 6)
    assert told == {"dealt with 3": 1, "dealt with 0": 5}
    assert Notice.objects.filter(user=administrator.user).count() == 1


@pytest.mark.parametrize("round_number", range(4))
def test_login_during_enforcement_is_not_suspended(
    administrator: Membership, issue: Issue, now: datetime, round_number: int
) -> None:
    (member,) = away(administrator, issue, now, 1)
    ConnectionFactory.create(
        account=administrator.account,
        idle_action=InactivityAction.SUSPEND,
        idle_action_since=now - LONG_AGO,
    )
    come = {"does": "come", "member": member.pk}
    watch = {"does": "watch", "member": administrator.pk}
    told = outcomes([come, watch, watch, watch])
    assert told["came"] == 1
    member.refresh_from_db()
    assert not member.has_suspended_tokens
    suspended, resumed = (
        AuditEvent.objects.filter(kind=f"member.tokens_{word}").count()
        for word in ("suspended", "resumed")
    )
    assert suspended == resumed == told["dealt with 1"]
