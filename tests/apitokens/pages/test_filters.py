"""The filters of the list that tidy up: last usage and expiration, and the chips of what is set."""

import re
from datetime import datetime, timedelta
from html import unescape
from typing import Any

import pytest
from django.test import Client
from django.utils.html import strip_tags

from accounts.models import Account, Membership
from accounts.roles import Role
from apitokens.models import APIToken
from tests.conftest import Issue, SignIn
from tests.factories import ACCOUNT_ID

pytestmark = pytest.mark.django_db

LIST = f"/accounts/{ACCOUNT_ID}/api-tokens/"
DAY = timedelta(days=1)


@pytest.fixture
def browser(client: Client, administrator: Membership, sign_in: SignIn) -> Client:
    sign_in(client, administrator)
    return client


def shown(browser: Client, **query: Any) -> set[str]:
    return {row.token.name for row in browser.get(LIST, query).context["rows"]}


def chips(browser: Client, **query: Any) -> dict[str, str]:
    """The words of each chip, and where it leads."""
    page = browser.get(LIST, query).content.decode()
    found = re.findall(r'<a class="chip"\s+href="([^"]*)">(.*?)</a>', page, re.S)
    return {" ".join(strip_tags(words).split()): unescape(href) for href, words in found}


@pytest.mark.both
def test_tokens_are_found_by_when_they_were_last_used(
    browser: Client, administrator: Membership, issue: Issue, now: datetime
) -> None:
    for name, created, used in (
        ("new", 10, None),
        ("never", 100, None),
        ("fresh", 300, 1),
        ("idle", 300, 45),
        ("old", 300, 200),
    ):
        token = issue(administrator, name=name, at=now - created * DAY).token
        if used is not None:
            APIToken.objects.filter(pk=token.pk).update(last_used_at=now - used * DAY)
    assert shown(browser, last_used="never") == {"new", "never"}
    assert shown(browser, last_used="30") == {"never", "idle", "old"}
    assert shown(browser, last_used="90") == {"never", "old"}
    assert shown(browser, last_used="180") == {"old"}


@pytest.mark.both
def test_tokens_are_found_by_when_they_expire(
    browser: Client, administrator: Membership, issue: Issue, now: datetime
) -> None:
    for name, days in (("soon", 6), ("later", 20), ("far", 90), ("never", None)):
        expires_at = None if days is None else now + days * DAY
        issue(administrator, name=name, expires_at=expires_at)
    issue(administrator, name="gone", at=now - 9 * DAY, expires_at=now - DAY)
    assert shown(browser, expires="7") == {"soon"}
    assert shown(browser, expires="30", status="all") == {"soon", "later"}
    assert shown(browser, expires="never") == {"never"}


@pytest.mark.parametrize("name", ["last_used", "expires"])
@pytest.mark.parametrize("value", ["-1", "31", "99999999999999999999", "\0", "Never"])
def test_span_that_is_not_offered_is_refused(
    browser: Client, administrator: Membership, issue: Issue, name: str, value: str
) -> None:
    issue(administrator)
    answer = browser.get(LIST, {name: value})
    assert answer.status_code == 400
    assert not answer.context["rows"]


def test_every_filter_that_is_set_has_a_chip_that_takes_it_away(
    browser: Client, administrator: Membership, issue: Issue
) -> None:
    issue(administrator, role=Role.USERS)
    query = {"role": "2", "expires": "never", "status": "all", "sort": "name", "page": "1"}
    shown = chips(browser, **query, issued_by=administrator.user_id)
    me = f"issued_by={administrator.user_id}"
    assert shown == {
        f"Remove the filter Issued by: {administrator.user.name}": f"{LIST}?role=2&expires=never"
        "&status=all&sort=name",
        "Remove the filter Role: Users": f"{LIST}?expires=never&status=all&sort=name&{me}",
        "Remove the filter Status: All": f"{LIST}?role=2&expires=never&sort=name&{me}",
        "Remove the filter Expiration: Never expires": f"{LIST}?role=2&status=all&sort=name&{me}",
    }


def test_list_as_it_is_at_first_has_no_chips(
    browser: Client, administrator: Membership, issue: Issue
) -> None:
    issue(administrator)
    assert chips(browser) == chips(browser, status="active", sort="name") == {}


def test_button_of_the_filters_says_how_many_are_set(
    browser: Client, administrator: Membership, issue: Issue
) -> None:
    issue(administrator)
    page = browser.get(LIST, {"role": "1", "expires": "7"}).content.decode()
    said = "".join(strip_tags(page).split())
    assert "Filters2setMorefilters1set" in said


def test_who_is_no_administrator_is_not_offered_roles_above_their_own(
    client: Client, user: Membership, administrator: Membership, issue: Issue, sign_in: SignIn
) -> None:
    issue(user)
    sign_in(client, user)
    page = client.get(LIST).content.decode()
    assert '<option value="2" lang="en">Users</option>' in page
    assert '<option value="1"' not in page
    assert (
        '<option value="1" selected lang="en">' in client.get(LIST, {"role": "1"}).content.decode()
    )


def test_at_the_limit_the_page_leads_to_what_is_not_used(
    browser: Client, administrator: Membership, issue: Issue
) -> None:
    issue(administrator)
    assert "?last_used=90" not in browser.get(LIST).content.decode()
    Account.objects.update(token_limit=1)
    assert f'href="{LIST}?last_used=90&amp;status=unended"' in browser.get(LIST).content.decode()
