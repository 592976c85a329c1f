"""The account's policy about API tokens of people who no longer come through its provider.

What a provider revokes is not told to anybody. Somebody who left the company stops coming, and that
is seen here: the Administrators are told, or the tokens are suspended until the next arrival.
"""

from datetime import datetime, timedelta
from typing import NamedTuple

from django.db import transaction
from django.db.models import QuerySet
from django.urls import reverse

from accounts.audit import recorder as audit
from accounts.authorization import recheck, token_hooks
from accounts.authorization.actor import Actor
from accounts.members import suspension
from accounts.models import Membership
from notifications.tasks import enqueue_delivery_on_commit
from sso.connections.services import locked
from sso.inactivity.notifications import Absent, tell_administrators, tell_suspended
from sso.models import AbsenceNotice, Connection, IdleAction


class Rule(NamedTuple):
    """An account's provider as its people know it, and what is in force about those who stay away.

    `begin` is the path at which one signs in; empty while nobody can. `suspends_after` and
    `tells_after` are days, one of them or none.
    """

    provider: str = ""
    begin: str = ""
    suspends_after: int | None = None
    tells_after: int | None = None


def rule_of(account_id: int) -> Rule:
    """What the account's people have to know; of an account without a provider, nothing."""
    connection = Connection.objects.filter(account=account_id).first()
    if connection is None:
        return Rule()
    if not connection.is_on:
        return Rule(connection.name)
    days = connection.idle_days
    return Rule(
        provider=connection.name,
        begin=reverse("sso:begin", args=[connection.slug]),
        suspends_after=days if connection.idle_action == IdleAction.SUSPEND else None,
        tells_after=days if connection.idle_action == IdleAction.NOTIFY else None,
    )


@transaction.atomic
def choose_policy(
    *, connection: Connection, action: IdleAction, days: int, by: Actor, at: datetime
) -> bool:
    """Say what becomes of API tokens whose person has not come through the provider for so many
    days. False if it is so already.

    With another action days count from now: nobody is suspended for what was no rule when they
    stayed away. Any action but suspending lets suspended tokens work again. Raises
    `ValidationError` by field, and `PermissionDenied` as all verbs of connections.
    """
    connection, by = locked(connection, by, at)
    before = _worded(connection)
    if connection.idle_action != action:
        connection.idle_action_since = None if action is IdleAction.NOTHING else at
    connection.idle_action, connection.idle_days = action, days
    others = {field.name for field in Connection._meta.fields} - {"idle_action", "idle_days"}
    connection.clean_fields(exclude=others)
    if _worded(connection) == before:
        return False
    connection.save(update_fields=["idle_action", "idle_action_since", "idle_days"])
    audit.record(
        "sso.idle_policy_changed",
        by=by,
        at=at,
        account_id=connection.account_id,
        subject=connection,
        before=before,
        after=_worded(connection),
    )
    if action is not IdleAction.SUSPEND:
        suspension.resume_all(account_id=connection.account_id, by=by, at=at)
    return True


def is_absent(member: Membership, connection: Connection, at: datetime) -> bool:
    """True for who has not come through the provider for as long as the policy says."""
    ends = absence_begins_to_count(member, connection)
    return ends is not None and ends <= at


def absence_begins_to_count(member: Membership, connection: Connection) -> datetime | None:
    """When the policy applies to the member, if they do not come before. None: never."""
    since = connection.idle_action_since
    if since is None or member.sso_at is None or not connection.is_on:
        return None
    return max(since, member.sso_at) + timedelta(days=connection.idle_days)


def enforce(*, by: Actor, at: datetime) -> int:
    """Do what the accounts' policies say about who stays away now. Returns about how many people.
    Each absence is dealt with once, however often and by however many this is called."""
    chosen = Connection.objects.filter(is_on=True, idle_action_since__isnull=False)
    accounts = chosen.filter(account__closed_at=None).order_by("pk")
    found = sum(
        _enforce(account_id, by=by, at=at)
        for account_id in accounts.values_list("account_id", flat=True)
    )
    if found:
        enqueue_delivery_on_commit()
    return found


@transaction.atomic
def _enforce(account_id: int, *, by: Actor, at: datetime) -> int:
    recheck.lock_account(account_id)
    connection = Connection.objects.filter(account=account_id, is_on=True).first()
    if connection is None:
        return 0
    absent = _absent(connection, at)
    if connection.idle_action == IdleAction.SUSPEND:
        fresh = [
            each
            for each in absent
            if suspension.suspend_tokens(membership=each.member, by=by, at=at)
        ]
        tell_suspended(connection, fresh, at)
    else:
        fresh = [each for each in absent if _is_untold(each.member, connection, at)]
    if fresh:
        tell_administrators(connection, fresh, at)
    return len(fresh)


def _absent(connection: Connection, at: datetime) -> list[Absent]:
    """Those with active API tokens whom the policy applies to now."""
    tokens = token_hooks.counts(connection.account_id, at)
    members = who_came(connection).filter(pk__in=tokens, tokens_suspended_at=None)
    return [
        Absent(member, tokens[member.pk]) for member in members if is_absent(member, connection, at)
    ]


def who_came(connection: Connection) -> QuerySet[Membership]:
    """Present members who have ever come through the provider, the longest away first."""
    members = Membership.objects.present().filter(account=connection.account_id)
    came = members.filter(sso_at__isnull=False).select_related("user", "account")
    return came.order_by("sso_at", "pk")


def _is_untold(member: Membership, connection: Connection, at: datetime) -> bool:
    """True once for each absence, and then it is told."""
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


def _worded(connection: Connection) -> str:
    """The policy as the audit log names it."""
    if connection.idle_action == IdleAction.NOTHING:
        return str(IdleAction.NOTHING.value)
    return f"{connection.idle_action} ({connection.idle_days})"
