"""The account stands in the address; without it, the one used last is meant."""

import re
from datetime import datetime
from html import unescape

import pytest
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from accounts.account import services as account_services
from accounts.authorization.actor import Actor, EntryPoint
from accounts.models import Membership
from accounts.tenancy.decorators import SESSION_KEY
from tests.conftest import Issue, SignIn
from tests.factories import ACCOUNT_ID, MembershipFactory, UserFactory

pytestmark = pytest.mark.django_db

HERE = f"/accounts/{ACCOUNT_ID}/"
PAGES = ("", "users/", "api-tokens/", "audit-log/", "audit-log.csv", "notifications/",
         "notifications/settings/", "single-sign-on/", "leave/")  # fmt: skip
WITHOUT_ACCOUNT = {
    "/": "api-tokens/",
    "/profile/api-tokens/": "api-tokens/",
    "/profile/api-tokens/?status=all&q=a%20b": "api-tokens/?status=all&q=a%20b",
    "/profile/api-tokens/create/": "api-tokens/create/",
    "/profile/api-tokens/12/delete/?next=/profile/": "api-tokens/12/delete/?next=/profile/",
    "/profile/users/": "users/",
    "/profile/users/invitations/7/send/": "users/invitations/7/send/",
    "/profile/account/": "",
    "/profile/account/single-sign-on/": "single-sign-on/",
    "/profile/account/single-sign-on/absence/": "single-sign-on/absence/",
    "/profile/audit-log/?page=2": "audit-log/?page=2",
    "/profile/audit-log.csv?person=5": "audit-log.csv?person=5",
    "/profile/notifications/": "notifications/settings/",
    "/notifications/": "notifications/",
    "/notifications/?page=2": "notifications/?page=2",
    "/notifications/3/": "notifications/3/",
    "/profile/api-tokens/a%3Fb%23c/": "api-tokens/a%3Fb%23c/",
}
"""Addresses that name no account, and what stands for them within one."""


@pytest.fixture
def browser(client: Client, user: Membership, sign_in: SignIn) -> Client:
    sign_in(client, user)
    return client


@pytest.fixture
def second(user: Membership) -> Membership:
    """The same person in another account."""
    return MembershipFactory.create(user=user.user, account__name="Second Ltd.")


def page(browser: Client, path: str) -> str:
    answer = browser.get(path)
    assert answer.status_code == 200
    return unescape(answer.content.decode())


# --- The account of the address ----------------------------------------------------------------


def test_page_shows_the_account_of_its_address(
    browser: Client, user: Membership, second: Membership, issue: Issue
) -> None:
    issue(user, name="First account's")
    issue(second, name="Second account's")
    there = f"/accounts/{second.account_id}/api-tokens/"
    for _turn in range(2):
        ours, theirs = page(browser, f"{HERE}api-tokens/"), page(browser, there)
        assert ("First account's" in ours, "Second account's" in ours) == (True, False)
        assert ("First account's" in theirs, "Second account's" in theirs) == (False, True)


def test_token_of_another_of_ones_accounts_is_not_found(
    browser: Client, user: Membership, second: Membership, issue: Issue
) -> None:
    token = issue(user).token
    assert browser.get(f"{HERE}api-tokens/{token.pk}/").status_code == 200
    there = f"/accounts/{second.account_id}/api-tokens/{token.pk}/"
    assert browser.get(there).status_code == 404


@pytest.mark.parametrize("path", PAGES)
def test_account_that_is_not_ones_own_is_not_found_whatever_it_is(
    browser: Client, user: Membership, stranger: Membership, now: datetime, path: str
) -> None:
    left = MembershipFactory.create(user=user.user, removed_at=now)
    closed = MembershipFactory.create(user=user.user)
    operator = Actor.operator(through=EntryPoint.COMMAND)
    account_services.close_account(account=closed.account, by=operator, at=now)
    accounts = (stranger.account_id, left.account_id, closed.account_id, 987_654, 0, 10**30)

    for method in ("get", "post"):
        answers = [getattr(browser, method)(f"/accounts/{account}/{path}") for account in accounts]
        told = {(answer.status_code, without_nonces(answer.content)) for answer in answers}
        assert len(told) == 1
        assert told.pop()[0] in ((404,) if method == "get" else (404, 405))
    assert browser.session[SESSION_KEY] == user.account_id


def without_nonces(content: bytes) -> bytes:
    return re.sub(rb'(name="back" value|csrfmiddlewaretoken" value|nonce)="[^"]*"', b"", content)


@pytest.mark.parametrize("path", PAGES)
def test_stranger_is_asked_to_sign_in_and_comes_back(client: Client, path: str) -> None:
    for account in (ACCOUNT_ID, 987_654):
        answer = client.get(f"/accounts/{account}/{path}")
        assert answer.status_code == 302
        assert answer["Location"] == f"/sign-in/?next=/accounts/{account}/{path}"


def test_page_costs_the_same_for_a_person_of_many_accounts(
    browser: Client, user: Membership, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    with django_assert_num_queries(QUERIES):
        page(browser, HERE)
    for _number in range(3):
        MembershipFactory.create(user=user.user)
    with django_assert_num_queries(QUERIES):
        page(browser, HERE)


QUERIES = 8


def test_page_that_says_no_leads_back_into_its_account(
    browser: Client, user: Membership, second: Membership
) -> None:
    page(browser, f"/accounts/{second.account_id}/")
    for path, status in (("users/invite/", 403), ("api-tokens/5/", 404)):
        answer = browser.get(HERE + path)
        browser.get(f"/accounts/{second.account_id}/")
        assert answer.status_code == status
        main = answer.content.decode().partition("<main")[2]
        assert re.findall(r'<a [^>]*href="(/[^"]*)"', main) == [f"{HERE}api-tokens/"]


# --- The switcher ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("path", "section"),
    [
        ("", ""),
        ("leave/", "api-tokens/"),
        ("users/", "users/"),
        ("api-tokens/create/", "api-tokens/"),
        ("audit-log/", "audit-log/"),
        ("notifications/", "notifications/"),
        ("notifications/settings/", "notifications/settings/"),
    ],
)
def test_switcher_leads_to_the_same_section_of_the_other_account(
    client: Client,
    administrator: Membership,
    sign_in_now: SignIn,
    path: str,
    section: str,
) -> None:
    other = MembershipFactory.create(user=administrator.user)
    sign_in_now(client, administrator)
    switcher = page(client, HERE + path).partition("topbar__account")[2].partition("</details>")[0]
    links = re.findall(r'<a [^>]*href="([^"]+)"', switcher)
    assert links == [f"{HERE}{section}", f"/accounts/{other.account_id}/{section}"]


def test_person_with_one_account_has_nothing_to_switch(browser: Client) -> None:
    assert "Switch account" not in page(browser, HERE)


# --- The account used last ---------------------------------------------------------------------


@pytest.mark.parametrize(("path", "leads_to"), WITHOUT_ACCOUNT.items())
def test_address_without_an_account_leads_to_the_one_used_last(
    browser: Client, second: Membership, path: str, leads_to: str
) -> None:
    for method in (browser.get, browser.head):
        answer = method(path)
        assert (answer.status_code, answer["Location"]) == (302, HERE + leads_to)
        assert "no-store" in answer["Cache-Control"]

    page(browser, f"/accounts/{second.account_id}/")

    assert browser.get(path)["Location"] == f"/accounts/{second.account_id}/{leads_to}"


@pytest.mark.parametrize("path", WITHOUT_ACCOUNT)
@pytest.mark.parametrize("is_signed_in", [True, False])
def test_address_without_an_account_takes_no_form(
    client: Client, user: Membership, sign_in: SignIn, path: str, is_signed_in: bool
) -> None:
    if is_signed_in:
        sign_in(client, user)
    for method in (client.post, client.put, client.delete):
        assert method(path).status_code == 405


@pytest.mark.parametrize("path", WITHOUT_ACCOUNT)
def test_address_without_an_account_asks_strangers_to_sign_in(client: Client, path: str) -> None:
    assert client.get(path)["Location"].startswith("/sign-in/?next=/")


@pytest.mark.parametrize("path", WITHOUT_ACCOUNT)
def test_person_without_an_account_is_told_so(client: Client, path: str) -> None:
    client.force_login(UserFactory.create())
    answer = client.get(path)
    assert answer.status_code == 403
    assert "You don't belong to an account" in unescape(answer.content.decode())


def test_link_that_is_sent_as_a_form_makes_no_account_the_last(
    browser: Client, user: Membership, second: Membership
) -> None:
    browser.post(f"/accounts/{second.account_id}/notifications/read/")
    browser.head(f"/accounts/{second.account_id}/")
    assert browser.get("/")["Location"] == f"{HERE}api-tokens/"


def test_account_one_has_left_is_not_the_last_any_more(
    browser: Client, second: Membership, now: datetime
) -> None:
    page(browser, f"/accounts/{second.account_id}/")
    Membership.objects.filter(pk=second.pk).update(removed_at=now)
    assert browser.get("/")["Location"] == f"{HERE}api-tokens/"
    assert "Second Ltd." not in page(browser, "/profile/")


def test_pages_of_the_person_show_the_account_used_last(
    browser: Client, user: Membership, second: Membership
) -> None:
    assert f'href="{HERE}users/"' in page(browser, "/profile/")
    there = f"/accounts/{second.account_id}/"
    page(browser, there)
    assert f'href="{there}users/"' in page(browser, "/profile/security/")


# --- Links of mails of former versions ---------------------------------------------------------


@pytest.mark.parametrize(
    ("wanted", "leads_to"),
    [
        ("/profile/api-tokens/?ids=5,6", "api-tokens/?ids=5,6"),
        ("/profile/api-tokens/5/", "api-tokens/5/"),
        ("/profile/notifications/", "notifications/settings/"),
        ("/profile/account/single-sign-on/", "single-sign-on/"),
        ("/profile/", "api-tokens/"),
        ("/accounts/1/users/", "api-tokens/"),
        ("", "api-tokens/"),
    ],
)
@pytest.mark.parametrize("is_signed_in", [True, False])
def test_link_of_a_former_mail_leads_to_its_page_and_switches_nothing(
    client: Client,
    user: Membership,
    second: Membership,
    sign_in: SignIn,
    wanted: str,
    leads_to: str,
    is_signed_in: bool,
) -> None:
    if is_signed_in:
        sign_in(client, user)
    there = f"/accounts/{second.account_id}/"
    answer = client.get(f"{there}open/", {"next": wanted} if wanted else {})
    assert (answer.status_code, answer["Location"]) == (302, there + leads_to)
    if is_signed_in:
        assert client.session[SESSION_KEY] == user.account_id


def test_link_of_a_former_mail_takes_no_form(browser: Client) -> None:
    assert browser.post(f"{HERE}open/", {"next": "/profile/users/"}).status_code == 405
