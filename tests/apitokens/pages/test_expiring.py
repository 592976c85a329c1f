"""The page that a notice leads to: the API tokens, filtered to those it named."""

from datetime import datetime, timedelta

import pytest
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from accounts.authorization.actor import Actor
from accounts.models import Membership
from apitokens.models import APIToken
from apitokens.tokens import services as token_services
from tests.conftest import Issue, SignIn
from tests.factories import ACCOUNT_ID, MembershipFactory

pytestmark = pytest.mark.django_db

TOKENS = f"/accounts/{ACCOUNT_ID}/api-tokens/"
DAY = timedelta(days=1)


@pytest.fixture
def browser(client: Client, administrator: Membership, sign_in: SignIn) -> Client:
    """The browser of `administrator`."""
    sign_in(client, administrator)
    return client


def shown(browser: Client, **query: str | int) -> list[APIToken]:
    answer = browser.get(TOKENS, query)
    assert answer.status_code == 200
    return [row.token for row in answer.context["rows"]]


def page(browser: Client, **query: str | int) -> str:
    return " ".join(browser.get(TOKENS, query).content.decode().split())


def test_only_the_named_tokens_are_shown(
    browser: Client, administrator: Membership, issue: Issue
) -> None:
    first, second, _third = (issue(administrator).token for _ in range(3))
    assert set(shown(browser, ids=f"{first.pk},{second.pk}")) == {first, second}
    assert "Showing 2 tokens from a notification" in page(browser, ids=f"{first.pk},{second.pk}")


@pytest.mark.parametrize("separator", [",", ", ", " , ", ",,", ",\t"])
def test_spaces_and_empty_places_do_no_harm(
    browser: Client, administrator: Membership, issue: Issue, separator: str
) -> None:
    tokens = {issue(administrator).token for _ in range(2)}
    ids = separator.join(str(token.pk) for token in tokens)
    assert set(shown(browser, ids=f" {ids}{separator}")) == tokens


def test_the_most_urgent_comes_first_as_in_the_notice(
    browser: Client, administrator: Membership, issue: Issue, now: datetime
) -> None:
    late = issue(administrator, expires_at=now + 6 * DAY).token
    soon = issue(administrator, expires_at=now + 1 * DAY).token
    assert shown(browser, ids=f"{late.pk},{soon.pk}") == [soon, late]


def test_they_are_shown_whatever_has_become_of_them_since(
    browser: Client, administrator: Membership, issue: Issue, now: datetime
) -> None:
    deleted = issue(administrator).token
    token_services.delete(token=deleted, by=Actor.member(administrator), at=now)
    expired = issue(administrator, at=now - 9 * DAY, expires_at=now - DAY).token
    ids = f"{deleted.pk},{expired.pk}"
    assert set(shown(browser, ids=ids)) == {deleted, expired}
    assert shown(browser, ids=ids, status="active") == []


def test_the_filter_can_be_taken_away(
    browser: Client, administrator: Membership, issue: Issue
) -> None:
    token = issue(administrator).token
    filtered = page(browser, ids=token.pk, sort="name")
    assert "Showing 1 token from a notification" in filtered
    assert f'<a href="{TOKENS}?sort=name">Reset</a>' in filtered
    assert "from a notification" not in page(browser)


def test_another_filter_keeps_the_named_tokens(
    browser: Client, administrator: Membership, issue: Issue
) -> None:
    token = issue(administrator).token
    filtered = page(browser, ids=token.pk)
    assert f'<input type="hidden" name="ids" value="{token.pk}"' in filtered


def test_tokens_of_others_are_not_shown_by_naming_them(
    client: Client, user: Membership, engineer: Membership, sign_in: SignIn, issue: Issue
) -> None:
    stranger = MembershipFactory.create()
    sign_in(client, user)
    issue(user)
    ids = f"{issue(engineer).token.pk},{issue(stranger).token.pk}"
    assert shown(client, ids=ids) == []
    assert "Showing 0 tokens from a notification" in page(client, ids=ids)


@pytest.mark.parametrize(
    "ids", ["x", "1;2", "-1", "1.5", "1,x", "9" * 19, "9" * 400, "١٢٣", "1,\x00", "<b>", "%2C"]
)
def test_what_is_no_id_is_refused_in_a_sentence(
    browser: Client, administrator: Membership, issue: Issue, ids: str
) -> None:
    issue(administrator)
    refused = page(browser, ids=ids)
    assert "contain valid token IDs" in refused or "Null characters" in refused
    assert "from a notification" not in refused
    assert 'name="ids"' not in refused, "or else [Apply] would be refused for ever"


def test_two_hundred_tokens_can_be_named_and_no_more(
    browser: Client, administrator: Membership, issue: Issue
) -> None:
    token = issue(administrator).token
    ids = [token.pk, *range(1, 200)]
    assert shown(browser, ids=",".join(map(str, ids))) == [token]
    assert "at most 200 tokens" in page(browser, ids=",".join(map(str, [*ids, 200])))


def test_status_expiring_shows_what_expires_in_7_days_or_less(
    browser: Client, administrator: Membership, issue: Issue, now: datetime
) -> None:
    soon = issue(administrator, expires_at=now + 6 * DAY).token
    issue(administrator, expires_at=now + 8 * DAY)
    issue(administrator)
    issue(administrator, at=now - 9 * DAY, expires_at=now - DAY)
    assert shown(browser, status="expiring") == [soon]
    filtered = page(browser, status="expiring")
    assert '<option value="expiring" selected>Expiring in 7 days or less</option>' in filtered
    assert ">Reset</a>" in filtered


@pytest.mark.parametrize(
    ("left", "is_soon"),
    [
        (timedelta(0), False),
        (timedelta(microseconds=1), True),
        (7 * DAY, True),
        (7 * DAY + timedelta(microseconds=1), False),
    ],
)
def test_rows_and_filters_agree_on_what_expires_soon(
    user: Membership, issue: Issue, now: datetime, left: timedelta, is_soon: bool
) -> None:
    token = issue(user, at=now - 30 * DAY, expires_at=now + left).token

    assert token.expires_soon(now) is is_soon
    assert APIToken.objects.expiring(now).exists() is is_soon


@pytest.mark.parametrize("tokens", [1, 9])
def test_the_list_costs_the_same_queries_for_any_number_of_tokens(
    browser: Client,
    administrator: Membership,
    issue: Issue,
    tokens: int,
    django_assert_num_queries: DjangoAssertNumQueries,
) -> None:
    ids = ",".join(str(issue(administrator).token.pk) for _ in range(tokens))
    with django_assert_num_queries(13):
        # session, user, memberships, view, count, tokens, usage, issuers, single sign-on and
        # whether it has issuers, unread notices, expiring tokens
        page(browser, ids=ids)
