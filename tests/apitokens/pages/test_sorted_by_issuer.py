"""The list sorted by issuer: its pages are those of one sort over all tokens."""

import pytest
from django.db.models import QuerySet

from accounts.models import Membership
from apitokens.filters import ordering
from apitokens.models import APIToken
from apitokens.pages.listing import RowsByIssuer, TokenRows
from notifications import bounded_pages
from notifications.bounded_pages import page_of
from tests.conftest import Issue
from tests.factories import MembershipFactory

pytestmark = [pytest.mark.both, pytest.mark.django_db]


@pytest.fixture
def tokens(engineer: Membership, issue: Issue) -> QuerySet[APIToken]:
    """Eight tokens of four people, two of whom have the same name."""
    people = [
        MembershipFactory.create(account=engineer.account, user__name=name)
        for name in ("Östen", "Zoe", "Maria", "maria")
    ]
    for number in range(8):
        issue(people[number % 3 if number < 6 else 3])
    return APIToken.objects.all()


def both(tokens: QuerySet[APIToken], sort: str) -> tuple[RowsByIssuer, TokenRows]:
    found = tokens.order_by(*ordering(sort))
    by_issuer = RowsByIssuer(found, among=tokens, descending=sort.startswith("-"))
    return by_issuer, TokenRows(found, among=tokens)


@pytest.mark.parametrize("sort", ["issued_by", "-issued_by"])
def test_every_page_is_that_of_one_sort(tokens: QuerySet[APIToken], sort: str) -> None:
    by_issuer, plain = both(tokens, sort)

    assert len(by_issuer) == 8
    for start in range(9):
        for stop in range(start + 1, 10):
            assert list(by_issuer[start:stop]) == list(plain[start:stop]), (start, stop)


@pytest.mark.parametrize("sort", ["issued_by", "-issued_by"])
@pytest.mark.parametrize("backwards", [False, True])
def test_what_comes_next_is_that_of_one_sort(
    tokens: QuerySet[APIToken], sort: str, backwards: bool
) -> None:
    by_issuer, plain = both(tokens, sort)

    for token in tokens:
        for size in (1, 3, 9):
            found = by_issuer.beyond(token.pk, size, backwards=backwards)
            assert found == plain.beyond(token.pk, size, backwards=backwards)


def test_token_that_left_the_list_still_leads_on(tokens: QuerySet[APIToken]) -> None:
    gone = tokens.order_by(*ordering("issued_by"))[3]
    rest = tokens.exclude(issuer=gone.issuer)
    found = rest.order_by(*ordering("issued_by"))
    by_issuer = RowsByIssuer(found, among=tokens, descending=False)

    behind = by_issuer.beyond(gone.pk, 10, backwards=False)

    assert behind == TokenRows(found, among=tokens).beyond(gone.pk, 10, backwards=False)
    assert by_issuer.beyond(77, 10, backwards=False) is None


def test_all_pages_together_are_the_list(
    tokens: QuerySet[APIToken], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bounded_pages, "MOST_COUNTED", 4)
    by_issuer, plain = both(tokens, "issued_by")

    seen, query = list[APIToken](), {"page": "1"}
    for _page in range(4):
        page = page_of(by_issuer, query, size=2)
        seen += page
        key = page.next_key
        query = {"after": str(key)} if key else {"page": "2"}

    assert seen == list(plain[0:8])
