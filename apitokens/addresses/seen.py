"""Reads from where a token was used lately, for its list of allowed addresses."""

from datetime import datetime, timedelta
from typing import NamedTuple

from apitokens.addresses.rules import MOST
from apitokens.models import APIToken, TokenAddress

LATELY = timedelta(days=30)


class Seen(NamedTuple):
    """Entries for a list, of those used last, and how many more there are than a list can have."""

    entries: list[str]
    more: int

    @property
    def text(self) -> str:
        return "\n".join(self.entries)


def seen_lately(token: APIToken, *, at: datetime) -> Seen:
    """The addresses that the token was used from in the last 30 days, and IPv6 networks: of an IPv6
    client the whole /64 counts as one place. The use of a minute ago may not be stored yet."""
    rows = TokenAddress.objects.filter(token=token, last_seen_at__gt=at - LATELY)
    places = dict.fromkeys(row.place for row in rows.order_by("-last_seen_at", "-pk"))
    return Seen(list(places)[:MOST], max(0, len(places) - MOST))
