"""Data of the inactivity page."""

from datetime import datetime
from typing import Any, NamedTuple

from accounts.authorization import token_hooks
from accounts.models import Membership
from sso.inactivity.services import inactive_from, members_seen_by_provider
from sso.models import Connection, InactivityAction

MAX_ROWS = 50


class Row(NamedTuple):
    """A member who has signed in by SSO and has active API tokens. `inactive_from`: when the policy
    applies unless they sign in before; None without a policy in force."""

    member: Membership
    tokens: int
    inactive_from: datetime | None
    is_inactive: bool


def listing(connection: Connection, *, at: datetime) -> dict[str, Any]:
    """The context of the page, with a constant number of queries."""
    tokens = token_hooks.counts(connection.account_id, at)
    members = members_seen_by_provider(connection).filter(pk__in=tokens)
    return {
        "rows": [_row(member, tokens[member.pk], connection, at) for member in members[:MAX_ROWS]],
        "count": members.count(),
        "suspended": members.filter(tokens_suspended_at__isnull=False).count(),
        "most": MAX_ROWS,
        "suspends": connection.idle_action == InactivityAction.SUSPEND,
        "tells": connection.idle_action == InactivityAction.NOTIFY,
    }


def _row(member: Membership, tokens: int, connection: Connection, at: datetime) -> Row:
    since = inactive_from(member, connection)
    return Row(member, tokens, since, since is not None and since <= at)
