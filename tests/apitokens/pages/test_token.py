"""A token's own page: what it is, how it is used, and what happened to it."""

import json
import re
from datetime import UTC, datetime, timedelta
from html import unescape
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils.html import strip_tags

from accounts.authorization.actor import Actor, EntryPoint
from accounts.models import Membership
from accounts.roles import Role
from apitokens.models import APIToken
from apitokens.tokens import services as token_services
from apitokens.usage.store import Use, store_usage
from apitokens.verification.refusals import Refused
from apitokens.verification.verify import verify
from tests.conftest import Api, Issue, SignIn
from tests.factories import ACCOUNT_ID, MembershipFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def browser(client: Client, user: Membership, sign_in: SignIn) -> Client:
    """The browser of the member with the role Users."""
    sign_in(client, user)
    return client


@pytest.fixture
def token(user: Membership, issue: Issue) -> APIToken:
    return issue(user, description="Ask Jo\nbefore touching it").token


def page_of(token_id: int | str) -> str:
    return f"/accounts/{ACCOUNT_ID}/api-tokens/{token_id}/"


def page(browser: Client, token: APIToken, **query: Any) -> str:
    """What a person reads on the page."""
    answer = browser.get(page_of(token.pk), query)
    assert answer.status_code == 200
    return re.sub(r"\s+", " ", unescape(strip_tags(answer.content.decode())))


def status(browser: Client, token_id: int) -> int:
    return browser.get(page_of(token_id)).status_code


def use(token: APIToken, at: datetime, times: int = 1, address: str = "192.0.2.1") -> None:
    store_usage([Use(token.pk, address, at, at, times)])


# --- Who sees it -------------------------------------------------------------------------------


def test_issuer_sees_it(browser: Client, token: APIToken) -> None:
    assert status(browser, token.pk) == 200


def test_administrator_sees_it(
    client: Client, administrator: Membership, token: APIToken, sign_in: SignIn
) -> None:
    sign_in(client, administrator)
    assert status(client, token.pk) == 200


@pytest.mark.parametrize("role", [role for role in Role if role is not Role.ADMINISTRATORS])
def test_colleague_who_did_not_issue_it_gets_404(
    client: Client, token: APIToken, sign_in: SignIn, role: Role
) -> None:
    sign_in(client, MembershipFactory.create(account=token.account, role=role))
    assert status(client, token.pk) == 404


def test_administrator_of_another_account_gets_404_as_for_nothing(
    client: Client, stranger: Membership, token: APIToken, sign_in: SignIn
) -> None:
    sign_in(client, stranger)
    answers = [client.get(page_of(pk)) for pk in (token.pk, 5)]
    assert [answer.status_code for answer in answers] == [404, 404]
    told = [answer.content.replace(str(token.pk).encode(), b"5") for answer in answers]
    drawn = rb'nonce.*?\"|name="csrfmiddlewaretoken" value=".*?"'
    assert re.sub(drawn, b"", told[0]) == re.sub(drawn, b"", told[1])


def test_stranger_is_asked_to_sign_in(client: Client, token: APIToken) -> None:
    url = page_of(token.pk)
    answer = client.get(url)
    assert (answer.status_code, answer["Location"]) == (302, f"/sign-in/?next={url}")


@pytest.mark.parametrize("number", ["0", "9" * 40])
def test_number_that_no_token_has_is_404(browser: Client, number: str) -> None:
    assert browser.get(page_of(number)).status_code == 404


def test_page_is_for_reading(browser: Client, token: APIToken) -> None:
    assert browser.post(page_of(token.pk)).status_code == 405


def test_page_is_not_kept_by_caches(browser: Client, token: APIToken) -> None:
    assert "no-store" in browser.get(page_of(token.pk))["Cache-Control"]


# --- Facts -------------------------------------------------------------------------------------


def test_facts_are_told(browser: Client, token: APIToken, user: Membership) -> None:
    text = page(browser, token)
    for fact in (token.name, str(token.pk), "Users", user.user.name, "Never", "Ask Jo before"):
        assert fact in text
    assert "Not used yet" in text


def test_list_leads_to_it(browser: Client, token: APIToken) -> None:
    listing = browser.get(f"/accounts/{ACCOUNT_ID}/api-tokens/").content.decode()
    link = rf'<a [^>]*href="{page_of(token.pk)}"[^>]*>\s*<bdi>{token.name}</bdi>'
    assert re.search(link, listing)


def test_deleted_token_has_its_page_but_nothing_to_delete(
    browser: Client, token: APIToken, user: Membership, now: datetime
) -> None:
    assert "Delete API token" in page(browser, token)
    token_services.delete(token=token, by=Actor.member(user), at=now)
    text = page(browser, token)
    assert "Deleted" in text
    assert "Delete API token" not in text


def test_text_of_people_is_text(browser: Client, user: Membership, issue: Issue) -> None:
    token = issue(user, name="<i>x", description="<script>y").token
    content = browser.get(page_of(token.pk)).content.decode()
    assert "<i>x" not in content
    assert "<script>y" not in content


# --- Usage -------------------------------------------------------------------------------------


def test_usage_is_told_in_numbers_too(browser: Client, token: APIToken, now: datetime) -> None:
    use(token, now, times=1234)
    store_usage([Use(token.pk, None, now, now, 0, refused=56)])
    text = page(browser, token)
    assert "1,234 uses" in text
    assert "56 rejected" in text
    assert re.search(r"Day \(UTC\) Uses Rejected .*? 1,234 56 .*? 0 0 ", text)


def test_each_day_can_be_reached_by_its_own_radio_button(
    browser: Client, token: APIToken, now: datetime
) -> None:
    """A tooltip by the arrow keys, without a script."""
    use(token, now, times=3)
    tips = re.findall(r'<input type="radio" name="chart-day".*?</label>', _html(browser, token))
    said = [re.sub(r"\s+", " ", strip_tags(tip)) for tip in tips]
    assert len(said) == 30
    assert said[-1].endswith("3 uses")
    assert said[-2].endswith("0 uses")


def test_token_that_was_only_refused_has_a_chart(
    browser: Client, token: APIToken, now: datetime
) -> None:
    store_usage([Use(token.pk, None, now, now, 0, refused=2)])
    assert "2 rejected" in page(browser, token)
    assert "Not used yet" in page(browser, token)


def test_token_can_be_copied_in_several_forms_without_its_secret(
    browser: Client, user: Membership, issue: Issue
) -> None:
    token, key = issue(user, name='<url> "quoted"')
    html = unescape(_html(browser, token))
    assert f'data-copy-text="{token.pk}"' in html
    assert f"/accounts/{ACCOUNT_ID}/api-tokens/{token.pk}/</code>" in html
    assert f"/iam/clients/{ACCOUNT_ID}/tokens/{token.pk}'</code>" in html
    assert json.dumps({"id": token.pk, "name": token.name}, indent=2)[:-2] in html
    assert key.secret not in html


def test_description_begins_right_behind_its_label(browser: Client, token: APIToken) -> None:
    assert '<span class="paragraphs" dir="auto">Ask Jo\nbefore' in _html(browser, token)


def test_token_that_was_never_used_has_no_chart(browser: Client, token: APIToken) -> None:
    answer = browser.get(page_of(token.pk))
    assert "It hasn't been used yet." in answer.content.decode()
    assert 'class="chart"' not in answer.content.decode()


def test_token_that_was_used_long_ago_says_so(
    browser: Client, token: APIToken, now: datetime
) -> None:
    use(token, now - timedelta(days=40))
    assert "It wasn't used in the last 30 days." in page(browser, token)


# --- Addresses ---------------------------------------------------------------------------------


def test_addresses_are_told_the_latest_first(
    browser: Client, token: APIToken, now: datetime
) -> None:
    for minute in range(3):
        use(token, now - timedelta(minutes=minute), address=f"192.0.2.{minute + 1}")
    rows = re.findall(r'rowheader"[^>]*>\s*<bdi class="address">(.*?)<', _html(browser, token))
    assert rows == ["192.0.2.1", "192.0.2.2", "192.0.2.3"]


def test_addresses_of_another_token_are_not_told(
    browser: Client, token: APIToken, user: Membership, issue: Issue, now: datetime
) -> None:
    use(issue(user).token, now, address="198.51.100.7")
    assert "198.51.100.7" not in page(browser, token)


def _html(browser: Client, token: APIToken) -> str:
    return browser.get(page_of(token.pk)).content.decode()


# --- Events ------------------------------------------------------------------------------------


def told(browser: Client, token: APIToken, **query: Any) -> list[str]:
    """The events on the page, from top to bottom."""
    html = browser.get(page_of(token.pk), query).content.decode()
    html = html[html.index("events-heading") :]
    return [unescape(each) for each in re.findall(r'rowheader"[^>]*>(.*?)</th>', html)]


def test_life_of_a_token_is_told_the_latest_first(
    browser: Client, user: Membership, issue: Issue, now: datetime
) -> None:
    token, key = issue(user)
    verify(presented=key.spell(), at=now, address="192.0.2.1")
    use(token, now + timedelta(minutes=1), address="192.0.2.2")
    token_services.delete(token=token, by=Actor.member(user), at=now + timedelta(minutes=2))
    with pytest.raises(Refused):
        verify(presented=key.spell(), at=now + timedelta(minutes=3))
    assert told(browser, token) == [
        "Rejected: it had been deleted",
        "Deleted",
        "Used from a new IP address",
        "Used for the first time",
        "Created",
    ]


def test_who_did_it_is_told(
    browser: Client, token: APIToken, administrator: Membership, now: datetime
) -> None:
    token_services.delete(token=token, by=Actor.member(administrator, address="192.0.2.9"), at=now)
    assert f"{administrator.user.name} 192.0.2.9" in page(browser, token)


def test_token_that_did_it_for_somebody_is_named(
    browser: Client, token: APIToken, user: Membership, issue: Issue, api: Api
) -> None:
    other = issue(user, name="Cleaner")
    answer = api(other.key).delete(f"/iam/clients/{user.account_id}/tokens/{token.pk}")
    assert answer.status_code == 204
    assert f"via API token {other.token.pk}" in page(browser, token)


def test_operator_is_not_named(browser: Client, token: APIToken, now: datetime) -> None:
    operator = Actor.operator(through=EntryPoint.COMMAND)
    token_services.delete(token=token, by=operator, at=now)
    assert "An operator of the portal" in page(browser, token)


def test_events_are_paged(browser: Client, token: APIToken, now: datetime) -> None:
    for number in range(12):
        use(token, now + timedelta(minutes=number), address=f"192.0.2.{number}")
    assert len(told(browser, token)) == 10
    assert told(browser, token, page=2)[-1] == "Created"
    assert len(told(browser, token, page=2)) == 3


def test_page_that_does_not_exist_is_the_last(browser: Client, token: APIToken) -> None:
    assert told(browser, token, page="99") == told(browser, token, page="x") == ["Created"]


def test_events_of_another_token_are_not_told(
    browser: Client, token: APIToken, user: Membership, issue: Issue
) -> None:
    issue(user)
    assert told(browser, token) == ["Created"]


# --- What it costs -----------------------------------------------------------------------------


def test_page_costs_the_same_however_much_there_is_to_tell(
    browser: Client, user: Membership, issue: Issue, now: datetime
) -> None:
    costs = []
    for number in (1, 40):
        token = issue(user).token
        for each in range(number):
            use(token, now - timedelta(days=each), address=f"192.0.2.{each}")
        with CaptureQueriesContext(connection) as queries:
            page(browser, token)
        costs.append(len(queries))
    assert costs == [11, 11]


def test_chart_does_not_depend_on_the_readers_time_zone(
    browser: Client, token: APIToken, user: Membership
) -> None:
    user.user.time_zone = "Pacific/Kiritimati"
    user.user.save()
    use(token, datetime.now(UTC), times=7)
    assert "7 uses" in page(browser, token)
