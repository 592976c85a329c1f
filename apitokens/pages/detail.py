"""The token detail page: the token's facts, its use, and its events."""

from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from typing import Any, NamedTuple

from django.core.paginator import Paginator
from django.db.models import QuerySet
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from accounts.authorization.actor import EntryPoint
from accounts.models import AuditEvent
from apitokens.models import APIToken, TokenAddress
from apitokens.pages.listing import row
from sso.inactivity.services import policy_of

DAYS_SHOWN = 30
EVENTS_ON_PAGE = 10
ADDRESSES_AT_FIRST = 10

CHART_HEIGHT = 120
BAR_STEP = 20
BAR_WIDTH = 14
LEAST_HEIGHT = 2

EVENTS: dict[str, Promise] = {
    "token.issued": _("Created"),
    "token.deleted": _("Deleted"),
    "token.delete_refused": _("Someone without permission tried to delete it"),
    "token.used_from_new_address": _("Used from a new IP address"),
}
FIRST_USE = _("Used for the first time")
REFUSALS: dict[str, Promise] = {
    "deleted": _("Rejected: it had been deleted"),
    "expired": _("Rejected: it had expired"),
    "issuer_inactive": _("Rejected: its issuer or the account was not active"),
    "suspended": _("Rejected: it was suspended"),
}


class Bar(NamedTuple):
    """A day of the chart; x and height in units of the drawing, from the left and the ground."""

    day: date
    uses: int
    x: int
    y: int
    height: int


class Chart(NamedTuple):
    """Thirty days of use, the oldest first."""

    bars: list[Bar]
    total: int
    busiest: Bar
    width: int = DAYS_SHOWN * BAR_STEP
    height: int = CHART_HEIGHT
    bar_width: int = BAR_WIDTH

    @property
    def latest_first(self) -> list[Bar]:
        return self.bars[::-1]


class Entry(NamedTuple):
    """An event in words; `actor` is empty for the holder of the token."""

    event: AuditEvent
    words: str
    actor: str
    is_operator: bool


def token_detail(token: APIToken, *, at: datetime, page: str | None) -> dict[str, Any]:
    """The context of the page; it costs the same number of queries however much there is to tell.

    The token must be one that the reader may see.
    """
    addresses = list(TokenAddress.objects.filter(token=token).order_by("-last_seen_at", "-pk"))
    events = Paginator(events_of(token), EVENTS_ON_PAGE).get_page(page)
    return {
        "token": token,
        "row": row(token, at=at),
        "rule": policy_of(token.account_id),
        "chart": chart(token.use_days.values_list("day", "count"), today=at.astimezone(UTC).date()),
        "addresses": addresses[:ADDRESSES_AT_FIRST],
        "more_addresses": addresses[ADDRESSES_AT_FIRST:],
        "entries": [_entry(event) for event in events],
        "page": events,
        "page_range": list(events.paginator.get_elided_page_range(events.number)),
    }


def chart(counts: Iterable[tuple[date, int]], *, today: date) -> Chart:
    """The thirty days that end today."""
    by_day = dict(counts)
    days = [today - timedelta(days=before) for before in reversed(range(DAYS_SHOWN))]
    most = max((by_day.get(day, 0) for day in days), default=0)
    bars = []
    for place, day in enumerate(days):
        count = by_day.get(day, 0)
        height = max(LEAST_HEIGHT, round(count / most * CHART_HEIGHT)) if count else 0
        x = place * BAR_STEP + (BAR_STEP - BAR_WIDTH) // 2
        bars.append(Bar(day, count, x, CHART_HEIGHT - height, height))
    busiest = max(bars, key=lambda bar: bar.uses)
    return Chart(bars, sum(bar.uses for bar in bars), busiest)


def events_of(token: APIToken) -> QuerySet[AuditEvent]:
    """Events of the token, the latest first."""
    return (
        AuditEvent.objects.filter(
            subject_type="apitoken", subject_id=token.pk, account_id=token.account_id
        )
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
