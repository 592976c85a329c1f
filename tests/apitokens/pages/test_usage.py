"""The page "Usage": one chart over all tokens that the reader may see, and the five used most."""

import re
from datetime import datetime, timedelta
from html import unescape

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils.html import strip_tags

from accounts.models import Membership
from apitokens.models import APIToken
from apitokens.usage.store import Use, store_usage
from tests.conftest import Issue, SignIn
from tests.factories import ACCOUNT_ID, MembershipFactory

pytestmark = pytest.mark.django_db

URL = f"/accounts/{ACCOUNT_ID}/api-tokens/usage/"


@pytest.fixture
def browser(client: Client, administrator: Membership, sign_in: SignIn) -> Client:
    sign_in(client, administrator)
    return client


def use(token: APIToken, at: datetime, times: int, refused: int = 0) -> None:
    store_usage([Use(token.pk, "192.0.2.1", at, at, times)] if times else [])
    store_usage([Use(token.pk, None, at, at, 0, refused=refused)])


def page(browser: Client) -> str:
    return re.sub(r"\s+", " ", unescape(strip_tags(browser.get(URL).content.decode())))


def test_uses_of_all_tokens_are_added_up(
    browser: Client, user: Membership, engineer: Membership, issue: Issue, now: datetime
) -> None:
    for member, times in ((user, 1000), (engineer, 234)):
        use(issue(member).token, now, times, refused=3)
    assert "1,234 uses" in page(browser)
    assert "6 refused" in page(browser)


def test_five_tokens_are_told_the_most_used_first(
    browser: Client, user: Membership, issue: Issue, now: datetime
) -> None:
    for times in (5, 1, 7, 3, 6, 4):
        token = issue(user, name=f"Used {times}").token
        use(token, now, times - 1)
        use(token, now - timedelta(days=1), 1)
        use(token, now - timedelta(days=31), 100)
    use(issue(user, name="Refused only").token, now, 0, refused=1000)
    html = browser.get(URL).content.decode()
    assert re.findall(r"<bdi>(Used \d|Refused only)</bdi>", html) == [
        f"Used {times}" for times in (7, 6, 5, 4, 3)
    ]


def test_members_see_their_own_tokens_only(
    client: Client,
    user: Membership,
    engineer: Membership,
    issue: Issue,
    sign_in: SignIn,
    now: datetime,
) -> None:
    sign_in(client, user)
    use(issue(user, name="Mine").token, now, 5)
    use(issue(engineer, name="Not mine").token, now, 7)
    said = page(client)
    assert "5 uses" in said
    assert "Not mine" not in said


def test_another_account_is_neither_counted_nor_found(
    browser: Client, issue: Issue, now: datetime
) -> None:
    other = MembershipFactory.create()
    use(issue(other, name="Elsewhere").token, now, 7)
    assert "No API token was used in the last 30 days." in page(browser)
    assert browser.get(URL.replace(str(ACCOUNT_ID), str(other.account_id))).status_code == 404


def test_page_costs_the_same_for_any_number_of_tokens(
    browser: Client, user: Membership, issue: Issue, now: datetime
) -> None:
    costs = []
    for number in (1, 20):
        for day in range(number):
            use(issue(user).token, now - timedelta(days=day), 1)
        with CaptureQueriesContext(connection) as queries:
            page(browser)
        costs.append(len(queries))
    assert costs[0] == costs[1]
    assert costs[0] <= 10
