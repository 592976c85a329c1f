"""Inactivity policy: what happens to the API tokens of members who no longer sign in by SSO.

A provider does not tell the portal when it revokes a person's access. The portal only sees that the
person no longer signs in: then it notifies the Administrators, or suspends the tokens until the
next sign-in.
"""

from datetime import datetime, timedelta
from functools import partial
from typing import NamedTuple

from django.db import transaction
from django.db.models import QuerySet
from django.urls import reverse

from accounts.audit import recorder as audit
from accounts.authorization import recheck, token_hooks
from accounts.authorization.actor import Actor
from accounts.members import suspension
from accounts.models import Membership
from notifications import jobs
from notifications.tasks import enqueue_delivery_on_commit
from sso.connections.services import lock_connection
from sso.inactivity.notifications import (
    InactiveMember,
    notify_administrators,
    notify_suspended_members,
)
from sso.models import AbsenceNotice, Connection, InactivityAction


class InactivityPolicy(NamedTuple):
    """An account's inactivity policy, and its provider's name, for pages of members.

    `begin` is the path that starts a login; empty while SSO is off. `suspends_after` and
    `tells_after` are days; at most one of them is set.
    """

    provider: str = ""
    begin: str = ""
    suspends_after: int | None = None
    tells_after: int | None = None


def policy_of(account_id: int) -> InactivityPolicy:
    """The policy in force; empty for an account without a provider."""
    connection = Connection.objects.filter(account=account_id).first()
    if connection is None:
        return InactivityPolicy()
    if not connection.is_on:
        return InactivityPolicy(connection.name)
    days = connection.idle_days
    return InactivityPolicy(
        provider=connection.name,
        begin=reverse("sso:begin", args=[connection.slug]),
        suspends_after=days if connection.idle_action == InactivityAction.SUSPEND else None,
        tells_after=days if connection.idle_action == InactivityAction.NOTIFY else None,
    )


@transaction.atomic
def choose_policy(
    *, connection: Connection, action: InactivityAction, days: int, by: Actor, at: datetime
) -> bool:
    """Set the action after this many days without a login by SSO. False if nothing changes.

    With another action the days count from now: members are not suspended for a time in which the
    policy was not in force. Any action but suspension resumes suspended tokens. Raises
    `ValidationError` by field, and `PermissionDenied` as all services of connections.
    """
    connection, by = lock_connection(connection, by, at)
    before = _describe_policy(connection)
    if connection.idle_action != action:
        connection.idle_action_since = None if action is InactivityAction.NOTHING else at
    connection.idle_action, connection.idle_days = action, days
    others = {field.name for field in Connection._meta.fields} - {"idle_action", "idle_days"}
    connection.clean_fields(exclude=others)
    if _describe_policy(connection) == before:
        return False
    connection.save(update_fields=["idle_action", "idle_action_since", "idle_days"])
    audit.record(
        "sso.idle_policy_changed",
        by=by,
        at=at,
        account_id=connection.account_id,
        subject=connection,
        before=before,
        after=_describe_policy(connection),
    )
    if action is not InactivityAction.SUSPEND:
        suspension.resume_all(account_id=connection.account_id, by=by, at=at)
    return True


def is_inactive(member: Membership, connection: Connection, at: datetime) -> bool:
    """True if the member has not signed in by SSO for as long as the policy allows."""
    since = inactive_from(member, connection)
    return since is not None and since <= at


def inactive_from(member: Membership, connection: Connection) -> datetime | None:
    """When the policy applies to the member unless they sign in before. None: never."""
    since = connection.idle_action_since
    if since is None or member.sso_at is None or not connection.is_on:
        return None
    return max(since, member.sso_at) + timedelta(days=connection.idle_days)


def enforce_policies(*, by: Actor, at: datetime) -> int:
    """Apply the policies of all accounts, each on its own. Returns how many members were suspended
    or reported.

    Idempotent, also when called concurrently: each period of inactivity is handled once. Raises
    `SomeFailed` when all others are done."""
    return jobs.for_each(
        _accounts_with_inactive_members(at), partial(_enforce_policy, by=by, at=at)
    )


def _accounts_with_inactive_members(at: datetime) -> list[int]:
    """The accounts in which a policy applies to a member now: few, and found in four queries for
    all accounts together. What is done there is decided anew under each account's lock."""
    chosen = Connection.objects.filter(is_on=True, idle_action_since__isnull=False)
    connections = {each.account_id: each for each in chosen.filter(account__closed_at=None)}
    if not connections:
        return []
    shortest = min(each.idle_days for each in connections.values())
    members = Membership.objects.present().filter(
        account__connection__is_on=True,
        account__connection__idle_action_since__isnull=False,
        sso_at__lte=at - timedelta(days=shortest),
        tokens_suspended_at=None,
    )
    inactive = {
        member.pk: member
        for member in members.only("account_id", "sso_at")
        if member.account_id in connections
        and is_inactive(member, connections[member.account_id], at)
    }
    told = AbsenceNotice.objects.filter(membership__in=inactive).values_list(
        "membership", "told_at"
    )
    for member_id, told_at in told:
        member = inactive[member_id]
        if _is_told(told_at, member, connections[member.account_id]):
            del inactive[member_id]
    issuers = token_hooks.issuers_among(inactive, at) if inactive else set()
    return sorted({inactive[each].account_id for each in issuers})


def _is_told(told_at: datetime, member: Membership, connection: Connection) -> bool:
    """True if this period of inactivity was reported, where that is all that happens."""
    assert member.sso_at is not None
    assert connection.idle_action_since is not None
    is_of_this_period = told_at >= max(member.sso_at, connection.idle_action_since)
    return is_of_this_period and connection.idle_action != InactivityAction.SUSPEND


@transaction.atomic
def _enforce_policy(account_id: int, *, by: Actor, at: datetime) -> int:
    recheck.lock_account(account_id)
    connection = Connection.objects.filter(account=account_id, is_on=True).first()
    if connection is None:
        return 0
    inactive = _inactive_members(connection, at)
    if connection.idle_action == InactivityAction.SUSPEND:
        handled = [
            each
            for each in inactive
            if suspension.suspend_tokens(membership=each.member, by=by, at=at)
        ]
        notify_suspended_members(connection, handled, at)
    else:
        handled = [each for each in inactive if _mark_notified(each.member, connection, at)]
    if handled:
        notify_administrators(connection, handled, at)
        enqueue_delivery_on_commit()
    return len(handled)


def _inactive_members(connection: Connection, at: datetime) -> list[InactiveMember]:
    """Members with active API tokens to whom the policy applies now."""
    tokens = token_hooks.counts(connection.account_id, at)
    members = members_seen_by_provider(connection).filter(pk__in=tokens, tokens_suspended_at=None)
    return [
        InactiveMember(member, tokens[member.pk])
        for member in members
        if is_inactive(member, connection, at)
    ]


def members_seen_by_provider(connection: Connection) -> QuerySet[Membership]:
    """Present members who have ever signed in by SSO, the longest inactive first."""
    members = Membership.objects.present().filter(account=connection.account_id)
    signed_in = members.filter(sso_at__isnull=False).select_related("user", "account")
    return signed_in.order_by("sso_at", "pk")


def _mark_notified(member: Membership, connection: Connection, at: datetime) -> bool:
    """True once for each period of inactivity, and marks it as reported."""
    assert member.sso_at is not None
    assert connection.idle_action_since is not None
    notice, is_first = AbsenceNotice.objects.get_or_create(
        membership=member, defaults={"told_at": at}
    )
    if is_first or notice.told_at >= max(member.sso_at, connection.idle_action_since):
        return is_first
    notice.told_at = at
    notice.save(update_fields=["told_at"])
    return True


def _describe_policy(connection: Connection) -> str:
    """The policy as it stands in the audit log."""
    if connection.idle_action == InactivityAction.NOTHING:
        return str(InactivityAction.NOTHING.value)
    return f"{connection.idle_action} ({connection.idle_days})"
