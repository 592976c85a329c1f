"""Long lists are counted up to a bound, and go on by key in whatever order they have."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.db.models import F, QuerySet

from accounts.models import Membership
from accounts.text.expressions import in_order
from apitokens.filters import SORTS, ordering
from apitokens.models import APIToken
from notifications import bounded_pages
from notifications.bounded_pages import QuerySetRows, page_of, page_range
from tests.conftest import Issue

pytestmark = [pytest.mark.django_db, pytest.mark.both]


@pytest.fixture
def tokens(user: Membership, issue: Issue, now: datetime) -> QuerySet[APIToken]:
    """Twelve tokens of two names; some never end, some were never used, some share a moment."""
    for number in range(12):
        token = issue(user, name="Äpfel" if number % 2 else "birnen").token
        APIToken.objects.filter(pk=token.pk).update(
            expires_at=now + timedelta(days=number) if number % 3 else None,
            last_used_at=now - timedelta(days=number // 4) if number % 4 else None,
        )
    return APIToken.objects.all()


def rows_of(found: QuerySet[APIToken]) -> QuerySetRows[APIToken]:
    return QuerySetRows(found, among=APIToken.objects.all())


def walked(found: QuerySet[APIToken], name: str, key: str) -> Iterator[list[int]]:
    """The pages from the first on, by the keys that they lead to."""
    page: Any = page_of(rows_of(found), {}, size=4)
    while True:
        yield [row.pk for row in page.object_list]
        following = getattr(page, key)
        if following is None:
            return
        page = page_of(rows_of(found), {name: str(following)}, size=4)


@pytest.mark.parametrize("sort", [sign + key for key in SORTS for sign in ("", "-")])
def test_pages_by_key_hold_every_row_once_in_every_order(
    tokens: QuerySet[APIToken], sort: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bounded_pages, "MOST_COUNTED", 4)  # all but the first page
    found = tokens.order_by(*ordering(sort))
    everything = list(found.values_list("pk", flat=True))

    pages = list(walked(found, "after", "next_key"))

    assert [pk for page in pages for pk in page] == everything
    back = rows_of(found).beyond(everything[-1], 20, backwards=True)
    assert back is not None
    assert [row.pk for row in back] == everything[:-1]


def test_list_is_counted_no_further_than_the_bound(
    tokens: QuerySet[APIToken], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bounded_pages, "MOST_COUNTED", 8)
    page: Any = page_of(rows_of(tokens.order_by("pk")), {"page": "99"}, size=4)

    assert (page.number, page.paginator.count, page.paginator.has_more) == (2, 8, True)
    assert (page.shown, page.paginator.count_in_words) == ("5–8", "8")
    assert page.next_key == page.object_list[-1].pk
    keyed: Any = page_of(rows_of(tokens.order_by("pk")), {"after": str(page.next_key)}, size=4)
    assert (keyed.shown, page_range(keyed), keyed.next_key) == ("4", [], None)


@pytest.mark.parametrize("key", ["", "0", "-1", "1.5", "x", "\0", "9" * 19, "9" * 30, "²", "12"])
def test_key_that_nobody_knows_leads_to_the_first_page(
    tokens: QuerySet[APIToken], key: str
) -> None:
    for name in ("after", "before"):
        page: Any = page_of(rows_of(tokens.order_by("pk")), {name: key}, size=4)
        assert page.number == 1


def test_key_of_a_row_outside_of_what_the_reader_may_see_leads_nowhere(
    tokens: QuerySet[APIToken], stranger: Membership, issue: Issue
) -> None:
    foreign = issue(stranger).token
    rows = QuerySetRows(tokens.order_by("pk"), among=tokens.exclude(pk=foreign.pk))

    assert rows.beyond(foreign.pk, 4, backwards=False) is None


def test_row_that_has_left_the_list_keeps_its_place(tokens: QuerySet[APIToken]) -> None:
    order = [*in_order("name"), F("pk").asc()]
    everything = list(tokens.order_by(*order).values_list("pk", flat=True))
    found = tokens.exclude(pk=everything[5]).order_by(*order)

    rows = rows_of(found).beyond(everything[5], 3, backwards=False)

    assert rows is not None
    assert [row.pk for row in rows] == everything[6:9]
