"""docs/single-sign-on.md, followed to the letter: SimpleSAMLphp is set up by its steps alone."""

from __future__ import annotations

import re
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser import sso_steps
from tests.browser.conftest import Visits
from tests.conftest import insist_on_simplesamlphp
from tests.idp import simplesamlphp
from tests.idp.simplesamlphp import PAGE, PASSWORD, USER, SimpleSAMLphp
from tests.portal import Portal, served_portal

pytestmark = [pytest.mark.browser, pytest.mark.simplesamlphp]

ADMINISTRATOR, MARIA, DOMAIN = "admin@globex.example", "maria@globex.example", "globex.example"
NO_ICON_THERE = "Failed to load resource: the server responded with a status of 404 (Not Found)"
"""SimpleSAMLphp has no icon where browsers look for one."""
NAMED = re.compile(r"\*\*(.+?)\*\*", re.DOTALL)
"""What the page has its reader look for on the portal's pages."""


@pytest.fixture(scope="module")
def portal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Portal]:
    """As after `make run`, and with an operator."""
    with served_portal(tmp_path_factory.mktemp("portal")) as running:
        sso_steps.make_operator(running)
        yield running


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The empty folder of the page."""
    insist_on_simplesamlphp()
    return tmp_path_factory.mktemp("simplesamlphp")


def test_page_leads_from_nothing_to_an_arrival(visit: Visits, folder: Path) -> None:
    administrator, operator, maria = visit(ADMINISTRATOR), visit(), visit()

    entity_id = sso_steps.begin(administrator)  # 1
    with simplesamlphp.serve(folder, entity_id=entity_id) as provider:  # 2
        sso_steps.bring_metadata(administrator, provider.metadata())  # 3
        sso_steps.choose_attributes(
            administrator, email="mail", name="displayName", takes_new_people=True
        )
        sso_steps.ask_for_domain(administrator, DOMAIN)
        sso_steps.sign_in_as_operator(operator)  # 4
        sso_steps.approve_domain(operator, DOMAIN)
        sso_steps.begin_test(administrator)  # 5
        sign_in_there(administrator.page)
        expect(administrator.page.get_by_text(MARIA).first).to_be_visible()
        expect(administrator.page.get_by_text("Maria Example").first).to_be_visible()
        administrator.page.get_by_role("link", name="Back to single sign-on").click()
        sso_steps.switch_on(administrator)
        maria.go("/sign-in/")  # 6
        maria.page.get_by_label("Email").fill(MARIA)
        maria.page.get_by_role("button", name="Continue").click()
        sign_in_there(maria.page)
        expect(maria.page.get_by_role("heading", name="API tokens", level=1)).to_be_visible()

        expect_arrival_to_be_known(administrator.page, administrator.portal)
        sign_out_everywhere(maria.page, maria.portal, provider)
    troubles = [*administrator.troubles, *operator.troubles, *maria.troubles]
    assert [each for each in troubles if each != NO_ICON_THERE] == []


def sign_in_there(page: Page) -> None:
    """At SimpleSAMLphp, as the person whom the page makes known to it."""
    page.get_by_label("Username").fill(USER)
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Login").click()


def expect_arrival_to_be_known(page: Page, portal: Portal) -> None:
    page.goto(f"{portal.url}/profile/users/")
    row = page.get_by_role("row").filter(has_text=MARIA)
    expect(row).to_contain_text("Users")
    expect(row).to_contain_text("Single sign-on")
    page.goto(f"{portal.url}/profile/audit-log/")
    expect(page.get_by_role("main")).to_contain_text("Maria Example")


def sign_out_everywhere(page: Page, portal: Portal, provider: SimpleSAMLphp) -> None:
    """Signing out of the portal signs out at SimpleSAMLphp: it asks for the password again."""
    page.goto(f"{portal.url}/sign-out/")
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    page.get_by_label("Email").fill(MARIA)
    page.get_by_role("button", name="Continue").click()
    expect(page.get_by_label("Username")).to_be_visible()
    assert page.url.startswith(provider.url)


def test_page_calls_everything_by_the_name_it_has_in_the_portal() -> None:
    """Each name in bold print, in the steps, is one that the steps of the test above look for, or
    stands in a template or a form."""
    steps, _rest = PAGE.read_text().split("## Other providers")
    told = {" ".join(name.split()) for name in NAMED.findall(steps)}
    shown = "".join(
        each.read_text()
        for folder in ("templates", "sso", "accounts")
        for each in Path(PAGE.parent.parent, folder).rglob("*")
        if each.suffix in (".html", ".py")
    )
    assert told
    assert {name for name in told if name not in shown} <= {"Go"}  # Django's own


def test_addresses_on_the_page_exist(portal: Portal) -> None:
    for address in re.findall(r"<http://localhost:8000(/[^>]*)>", PAGE.read_text()):
        with urllib.request.urlopen(portal.url + address) as answer:
            assert answer.status == 200
