"""What the page about people who stay away shows."""

from datetime import datetime
from typing import Any, NamedTuple

from accounts.authorization import token_hooks
from accounts.models import Membership
from sso.inactivity.services import absence_begins_to_count, who_came
from sso.models import Connection, IdleAction

MOST = 50


class Row(NamedTuple):
    """Somebody who has come through the provider, with active API tokens. `counts_at`: when the
    policy applies to them unless they come before; None, if there is none in force."""

    member: Membership
    tokens: int
    counts_at: datetime | None
    is_absent: bool


def listing(connection: Connection, *, at: datetime) -> dict[str, Any]:
    """The context of the page; it costs the same number of queries for any number of people."""
    tokens = token_hooks.counts(connection.account_id, at)
    people = who_came(connection).filter(pk__in=tokens)
    return {
        "rows": [_row(member, tokens[member.pk], connection, at) for member in people[:MOST]],
        "count": people.count(),
        "suspended": people.filter(tokens_suspended_at__isnull=False).count(),
        "most": MOST,
        "suspends": connection.idle_action == IdleAction.SUSPEND,
        "tells": connection.idle_action == IdleAction.NOTIFY,
    }


def _row(member: Membership, tokens: int, connection: Connection, at: datetime) -> Row:
    counts_at = absence_begins_to_count(member, connection)
    return Row(member, tokens, counts_at, counts_at is not None and counts_at <= at)
