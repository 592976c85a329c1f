"""The entries of the inbox, by pages."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from django.utils.translation import pgettext

from notifications.bounded_pages import KeyedPage, QuerySetRows, page_of, page_range
from notifications.kinds import KINDS
from notifications.models import Notice
from notifications.recipients import Person

PAGE_SIZE = 25
LINES_AT_ONCE = 5


class Entry(NamedTuple):
    """A notice as it is read: `rest` are the lines behind a fold."""

    notice: Notice
    lines: list[str]
    rest: list[str]
    action: str


def inbox_of(person: Person, query: Mapping[str, str]) -> dict[str, Any]:
    """The context of one page; the same number of queries for any number of entries."""
    notices = Notice.objects.to(user_id=person.user_id, account_id=person.account_id)
    shown = page_of(QuerySetRows(notices, among=notices), query, size=PAGE_SIZE)
    newest = [notice.pk for notice in shown]
    if isinstance(shown, KeyedPage) or shown.number > 1:
        newest = list(notices.values_list("pk", flat=True)[:PAGE_SIZE])
    return {
        "newest": max(newest, default=0),
        "entries": [entry(notice) for notice in shown],
        "page": shown,
        "page_range": page_range(shown),
    }


def entry(notice: Notice) -> Entry:
    lines = notice.text.splitlines()
    # A fold that hides a single line saves nothing.
    visible = LINES_AT_ONCE if len(lines) > LINES_AT_ONCE + 1 else len(lines)
    kind = KINDS.get(notice.kind)
    return Entry(
        notice=notice,
        lines=lines[:visible],
        rest=lines[visible:],
        action=kind.action_for(len(lines)) if kind else pgettext("verb", "Open"),
    )
