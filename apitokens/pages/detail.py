"""The token detail page: the token's facts, its use, and its events."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

from django.conf import settings
from django.db.models import QuerySet
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from accounts.authorization.actor import EntryPoint
from accounts.models import AuditEvent
from apitokens.models import APIToken, TokenAddress
from apitokens.pages.chart import chart
from apitokens.pages.listing import row
from apitokens.pages.samples import copies
from apitokens.scopes.rules import Choice, labels
from notifications.bounded_pages import QuerySetRows, page_of, page_range
from sso.inactivity.services import policy_of

EVENTS_ON_PAGE = 10
ADDRESSES_AT_FIRST = 10

EVENTS: dict[str, Promise] = {
    "token.issued": _("Created"),
    "token.edited": _("Edited"),
    "token.edit_refused": _("An edit was rejected"),
    "token.rotated": _("Rotated"),
    "token.rotate_refused": _("A rotation was rejected"),
    "token.old_secret_ended": _("Old secret ended"),
    "token.handed_over": _("Handed over"),
    "token.deleted": _("Deleted"),
    "token.delete_refused": _("Someone without permission tried to delete it"),
    "token.used_from_new_address": _("Used from a new IP address"),
    "token.looked_up": _("Looked up by the whole token"),
}
FIRST_USE = _("Used for the first time")
REFUSALS: dict[str, Promise] = {
    "deleted": _("Rejected: it had been deleted"),
    "expired": _("Rejected: it had expired"),
    "issuer_inactive": _("Rejected: its issuer or the account was not active"),
    "suspended": _("Rejected: it was suspended"),
    "rotated": _("Rejected: its old secret was used"),
    "address_not_allowed": _("Rejected: used from an address that isn't allowed"),
}


class Entry(NamedTuple):
    """An event in words; `actor` is empty for the holder of the token."""

    event: AuditEvent
    words: str
    actor: str
    is_operator: bool


def token_detail(token: APIToken, *, at: datetime, query: Mapping[str, str]) -> dict[str, Any]:
    """The context of the page; it costs the same number of queries however much there is to tell.

    The token must be one that the reader may see.
    """
    addresses = list(TokenAddress.objects.filter(token=token).order_by("-last_seen_at", "-pk"))
    told = events_of(token)
    events = page_of(QuerySetRows(told, among=told), query, size=EVENTS_ON_PAGE)
    return {
        "token": token,
        "row": row(token, at=at),
        "scopes": _scopes(token),
        "has_old_secret": token.has_working_old_secret(at),
        "old_secret_ended": (old := token.former_secret) is not None and old.has_ended(at),
        "rule": policy_of(token.account_id),
        "chart": chart(
            token.use_days.values_list("day", "count", "refused"), today=at.astimezone(UTC).date()
        ),
        "copies": copies(token, base_url=settings.BASE_URL),
        "addresses": addresses[:ADDRESSES_AT_FIRST],
        "more_addresses": addresses[ADDRESSES_AT_FIRST:],
        "entries": [_entry(event) for event in events],
        "page": events,
        "page_range": page_range(events),
    }


def _scopes(token: APIToken) -> list[Choice] | None:
    """What it is limited to, with what that means to the reader; None if it is not."""
    held = token.held_scopes
    if held is None:
        return None
    known = labels(token.account_id)
    return [Choice(word, known.get(word, "")) for word in held]


def events_of(token: APIToken) -> QuerySet[AuditEvent]:
    """Events of the token, the latest first. All are of its account: saying so would have the
    database read all of the account's events as well."""
    return (
        AuditEvent.objects.filter(subject_type="apitoken", subject_id=token.pk)
        .select_related("user")
        .order_by("-at", "-pk")
    )


def _entry(event: AuditEvent) -> Entry:
    return Entry(
        event=event,
        words=_words(event),
        actor=event.user.get_full_name() if event.user else "",
        is_operator=event.user is None and event.through != EntryPoint.API,
    )


def _words(event: AuditEvent) -> str:
    if event.kind == "token.refused":
        why = event.details.get("why") or event.details.get("code", "")
        return str(REFUSALS.get(why, event.kind))
    if event.details.get("is_first_use"):
        return str(FIRST_USE)
    return str(EVENTS.get(event.kind, event.kind))
