"""What a page shows is what it acts on, whatever other tabs of the browser show: every form of an
account, sent after a page of another account of the same person was opened."""

import re
from collections.abc import Iterator
from copy import deepcopy
from dataclasses import dataclass
from datetime import timedelta
from html import unescape
from typing import Any

import pytest
import time_machine
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from pytest_django import DjangoDbBlocker

from accounts.models import Membership
from accounts.roles import Role
from apitokens.models import APIToken
from tests.accounts.sign_in.test_mfa import give_app
from tests.conftest import SignIn
from tests.factories import PASSWORD, UserFactory
from tests.tenancy.expected_outcomes import EXPECTED
from tests.tenancy.fixture import browser, watched
from tests.tenancy.forms_of_the_person import PERSONAL_FORMS
from tests.tenancy.probe import made_once, outcome
from tests.tenancy.routes import Route, routes
from tests.tenancy.two_accounts import FORMS, Form, Side, build

pytestmark = pytest.mark.django_db

PAGES = [route for route in routes() if not route.is_call and not route.name.startswith("admin:")]
IN_ACCOUNT = [route for route in PAGES if "account_id" in route.arguments]
OF_THE_PERSON = [route for route in PAGES if not {"account_id", "slug"} & set(route.arguments)]
"""Routes whose address names no account: neither by its id, nor, for a provider, by its slug."""
ROUTES = {route.name: route for route in PAGES}
HIDDEN = re.compile(r'<input type="hidden"\s+name="([^"]+)"\s+value="([^"]*)"')
LINKS = re.compile(r'\b(?:href|action|data-secret-page)="(/[^"]*)"')
TO_OTHERS = re.compile(
    r'<details class="menu topbar__account".*?</details>'
    r'|<section class="card" aria-labelledby="my-accounts".*?</section>',
    re.S,
)
"""The account switcher, and the list of one's own accounts."""


def takes(route: Route, method: str) -> bool:
    """True if an Administrator may send it."""
    return EXPECTED[route.name].get(method, {}).get("administrator", "405") != "405"


def is_page(route: Route) -> bool:
    """True if an Administrator gets a page to look at, and no file."""
    return EXPECTED[route.name]["GET"]["administrator"] == "200" and not route.name.endswith(
        ("_file", "find_people")
    )


@dataclass
class Tabs:
    """One browser session of a person with two accounts."""

    browser: Client
    a: Side
    b: Side
    beginning: tuple[list[Any], list[Any]]
    """The states of both before any test, to which each of them returns."""

    def open(self, side: Side, page: str) -> str:
        """Open a page of this account, in a tab of it. Returns its content."""
        answer = self.browser.get(side.address(ROUTES[page]))
        assert answer.status_code == 200, page
        return unescape(answer.content.decode())

    def written_by_opening(self, address: str) -> set[str]:
        """The tables that are written to while somebody looks."""
        with watched() as writes:
            answer: Any = self.browser.get(address)
            list(answer.streaming_content if answer.streaming else ())
        return writes.tables

    def prepared(self, form: Form) -> tuple[list[Any], list[Any]]:
        """Let hold in both accounts what has to; returns their states then."""
        if form.prepare is None:
            return self.beginning
        for side in (self.a, self.b):
            form.prepare(side)
        return self.a.state(), self.b.state()

    def send(self, side: Side, form: str, **fields: Any) -> Any:
        """Send the form of a page of this account."""
        return self.browser.post(side.address(ROUTES[form]), fields)


@pytest.fixture(scope="module")
def opened(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[Tabs]:
    """The tabs for all tests: making the accounts and signing in takes longer than most of them."""
    with made_once(django_db_blocker):
        person, colleague = UserFactory.create(), UserFactory.create(name="Colleague")
        a, b = (build(name, person, colleague, timezone.now()) for name in ("Acme", "Globex"))
        yield Tabs(browser(person, a.person), a, b, (a.state(), b.state()))


@pytest.fixture
def tabs(opened: Tabs) -> Tabs:
    """Rows and cookies of the test's own: the database rolls back, and objects do not."""
    client = Client()
    client.handler = opened.browser.handler  # its middleware is loaded
    client.cookies = deepcopy(opened.browser.cookies)
    a, b = deepcopy((opened.a, opened.b))
    return Tabs(client, a, b, opened.beginning)


# --- Every form --------------------------------------------------------------------------------


def form_to(address: str, page: str) -> str:
    """The form of the page that is sent to this address."""
    found = re.search(rf'<form[^>]*action="{re.escape(address)}".*?</form>', page, re.DOTALL)
    assert found is not None, address
    return found[0]


def test_every_route_that_takes_a_form_is_walked() -> None:
    assert {route.name for route in IN_ACCOUNT if takes(route, "POST")} == set(FORMS)


@pytest.mark.parametrize("is_first", [True, False], ids=["first account", "second account"])
@pytest.mark.parametrize("name", FORMS)
def test_form_changes_the_account_of_its_page_only(tabs: Tabs, name: str, is_first: bool) -> None:
    before, kept = tabs.prepared(FORMS[name])
    ours, others = tabs.a, tabs.b
    if not is_first:
        ours, others, before, kept = others, ours, kept, before
    form, address = FORMS[name], ours.address(ROUTES[name])
    sent = form_to(address, tabs.open(ours, form.page))

    tabs.open(others, form.page)
    tabs.open(others, "accounts:account")
    typed = form.of_side(ours) | ({form.key_in: ours.key.spell()} if form.key_in else {})
    answer = tabs.browser.post(address, dict(HIDDEN.findall(sent)) | form.filled_in | typed)

    assert outcome(answer) == form.outcome
    assert others.is_as(kept)
    assert ours.is_as(before) is not form.changes_something


def test_followed_notice_is_read_in_its_account_only(tabs: Tabs) -> None:
    """The only link that changes something."""
    address = tabs.a.address(ROUTES["notifications:follow"])
    assert f'href="{address}"' in tabs.open(tabs.a, "notifications:inbox")

    tabs.open(tabs.b, "notifications:inbox")
    tabs.browser.get(address)

    tabs.a.notice.refresh_from_db()
    assert tabs.a.notice.read_at is not None
    assert tabs.b.is_as(tabs.beginning[1])


def test_every_form_of_the_person_is_walked() -> None:
    assert {route.name for route in OF_THE_PERSON if takes(route, "POST")} == set(PERSONAL_FORMS)


@pytest.mark.parametrize("name", PERSONAL_FORMS)
def test_form_of_the_person_changes_no_account_but_that_of_its_link(tabs: Tabs, name: str) -> None:
    form, browser = PERSONAL_FORMS[name], tabs.browser
    with watched() as before:
        made = form.prepare(tabs.a, browser)
    kept = (tabs.a.state(), tabs.b.state()) if before.seen else tabs.beginning
    address = form.address(tabs.a, browser, made) if form.address else reverse(name)
    fields = form.fields(tabs.a, browser, made)
    tabs.open(tabs.b, "accounts:account")

    with watched() as writes:
        answer = browser.post(address, fields)

    assert (outcome(answer), writes.seen) == (form.outcome, form.writes)
    assert tabs.b.is_as(kept[1])
    assert tabs.a.is_as(kept[0]) is not form.changes_account


# --- Every link --------------------------------------------------------------------------------


@pytest.mark.parametrize("name", [route.name for route in IN_ACCOUNT if is_page(route)])
def test_page_leads_into_its_own_account_only(tabs: Tabs, name: str) -> None:
    tabs.open(tabs.b, "accounts:account")
    page = tabs.open(tabs.a, name)

    links = LINKS.findall(TO_OTHERS.sub("", page))
    ours = reverse("accounts:account", args=[tabs.a.account.pk])
    of_accounts = [link for link in links if link.startswith("/accounts/")]
    assert len(of_accounts) >= 7  # the brand, the bell and the sidebar, at least
    assert [link for link in of_accounts if not link.startswith(ours)] == []
    assert [link for link in links if link.startswith(FORMER)] == []


FORMER = ("/profile/account/", "/profile/users/", "/profile/api-tokens/", "/profile/audit-log",
          "/profile/notifications/", "/notifications/")  # fmt: skip
"""Addresses that name no account."""


def is_shown(route: Route) -> bool:
    """True if an Administrator gets something to read: a page, a file or suggestions."""
    return EXPECTED[route.name]["GET"]["administrator"] == "200"


@pytest.mark.parametrize("name", [route.name for route in IN_ACCOUNT if is_shown(route)])
def test_nothing_of_the_other_account_is_shown(tabs: Tabs, name: str) -> None:
    """All that is of an account has its name in its own; links of pages are looked at above."""
    tabs.open(tabs.b, "accounts:account")
    answer: Any = tabs.browser.get(tabs.a.address(ROUTES[name]), {"q": "o"})

    shown = TO_OTHERS.sub("", unescape(answer.getvalue().decode()))
    assert answer.status_code == 200
    assert tabs.b.account.name not in shown


# --- The worst of them, one by one -------------------------------------------------------------


def test_token_is_created_in_the_account_of_the_form(tabs: Tabs) -> None:
    page = tabs.open(tabs.a, "apitokens:create")
    tabs.open(tabs.b, "apitokens:list")

    fields = {**dict(HIDDEN.findall(page)), "role": Role.USERS.value, "expiration": "never"}
    tabs.send(tabs.a, "apitokens:create", name="New", **fields)

    assert APIToken.objects.get(name="New").account == tabs.a.account


def test_user_is_removed_from_the_account_of_the_question(tabs: Tabs) -> None:
    assert "Acme" in tabs.open(tabs.a, "accounts:remove")
    tabs.open(tabs.b, "accounts:people")

    tabs.send(tabs.a, "accounts:remove", delete_tokens="on")

    present = Membership.objects.present().filter(user=tabs.a.colleague.user_id)
    assert [member.account for member in present] == [tabs.b.account]


def test_all_tokens_are_deleted_in_the_account_of_the_question(tabs: Tabs) -> None:
    assert "Token of Acme" in tabs.open(tabs.a, "apitokens:delete_all")
    tabs.open(tabs.b, "apitokens:list")

    shown = APIToken.objects.filter(account=tabs.a.account).values_list("pk", flat=True)
    tabs.send(tabs.a, "apitokens:delete_all", shown=",".join(map(str, shown)))

    left = APIToken.objects.filter(deleted_at=None)
    assert [token.account for token in left] == [tabs.b.account]


def test_who_signs_in_again_comes_back_to_the_question_of_its_account(
    tabs: Tabs, sign_in: SignIn
) -> None:
    sign_in(Client(), tabs.a.person)
    tabs.browser.force_login(tabs.a.person.user)
    session = tabs.browser.session
    session["account_authentication_methods"] = []
    session.save()
    asked = tabs.send(tabs.a, "accounts:remove", delete_tokens="on")
    assert outcome(asked) == "again"
    tabs.open(tabs.b, "accounts:people")

    again = tabs.browser.post(
        reverse("account_reauthenticate"),
        {"password": PASSWORD, "next": tabs.a.address(ROUTES["accounts:remove"])},
    )

    assert again["Location"] == tabs.a.address(ROUTES["accounts:people"])
    present = Membership.objects.present().filter(user=tabs.a.colleague.user_id)
    assert [member.account for member in present] == [tabs.b.account]


def test_audit_log_is_downloaded_of_the_account_of_the_page(tabs: Tabs) -> None:
    tabs.open(tabs.b, "accounts:audit_log")

    answer = tabs.browser.get(tabs.a.address(ROUTES["accounts:audit_log_file"]))

    said = b"".join(answer.streaming_content).decode()  # type: ignore[attr-defined]
    assert str(tabs.a.token.pk) in said
    assert str(tabs.b.token.pk) not in said


# --- Every page --------------------------------------------------------------------------------

WRITTEN_BY_LOOKING = {
    "notifications:follow": {"notifications_notice"},  # it is read then
    "mfa_activate_totp": {"django_session"},  # the secret of the app that the page shows
    "mfa_add_webauthn": {"django_session"},  # the challenge of the page
    "sso:test": {"django_session"},  # the request that the provider is to answer
}
LINKS_IN_MAILS = (
    *("accounts:answer_contact", "accounts:confirm_email", "accounts:invitation"),
    *("notifications:unsubscribe", "account_confirm_email"),
)


def test_page_that_is_opened_writes_nothing(tabs: Tabs) -> None:
    """Of one's own account, with good links too, and hours after the last page."""
    addresses = {route.name: tabs.a.address(route) for route in IN_ACCOUNT}
    addresses |= {route.name: reverse(route.name) for route in PAGES if not route.arguments}
    with time_machine.travel(timezone.now() + timedelta(hours=2)):
        wrote = {name: tabs.written_by_opening(each) for name, each in addresses.items()}
        for name in LINKS_IN_MAILS:
            link = PERSONAL_FORMS[name].prepare(tabs.a, tabs.browser)
            wrote[name] = tabs.written_by_opening(link)

    assert {name: tables for name, tables in wrote.items() if tables} == WRITTEN_BY_LOOKING
    assert len(wrote) > 80


def test_page_that_names_a_person_is_kept_by_no_browser(tabs: Tabs) -> None:
    """What Back shows after signing out is for the next person at the browser."""
    give_app(tabs.a.person.user)
    named, kept = 0, []
    for route in PAGES:
        if route.arguments and route not in IN_ACCOUNT:
            continue
        address = tabs.a.address(route) if route in IN_ACCOUNT else reverse(route.name)
        answer = tabs.browser.get(address)
        is_html = answer.get("Content-Type", "").startswith("text/html")
        if is_html and not answer.streaming and tabs.a.person.user.name in answer.content.decode():
            named += 1
            if "no-store" not in answer.get("Cache-Control", ""):
                kept.append(f"{answer.status_code} {route.name}")
    assert " ".join(kept) == ""
    assert named > 40
