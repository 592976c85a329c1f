"""An Administrator makes a service account, issues a token for it, hands others over to it, reads
who has access, and removes it: the steps of docs/service-accounts.md."""

import re
from typing import NamedTuple

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.axe import Looks
from tests.browser.conftest import ADMINISTRATOR, ENGINEER, PASSWORD, Visit, Visits
from tests.browser.documented import Walk
from tests.browser.test_guide import both_ways
from tests.browser.test_signing_in import prove
from tests.browser.test_team import choose, row

pytestmark = pytest.mark.browser

TOKENS, SERVICE_ACCOUNTS = "/accounts/1/api-tokens/", "/accounts/1/users/service-accounts/"


class People(NamedTuple):
    """Of the demo, for one of the walks."""

    name: str
    several: tuple[str, str]
    single: str
    leaver: str
    leavers: str
    """A token of who leaves."""


WITH = People("Deploys", ("Uptime probe", "Grafana data source"), "Account reporting",
              "Ines Duarte", "Shop connector")  # fmt: skip
WITHOUT = People("Exports", ("Staging smoke tests", "CI: build and deploy"), "Emergency access",
                 "Aylin Məmmədova", "Try-out")  # fmt: skip


def make(window: Visit, walk: Walk, name: str) -> None:
    page = window.page
    window.go("/accounts/1/users/")
    walk.at(page, "users")
    page.get_by_role("link", name="Service accounts").click()
    expect(page.get_by_role("link", name="Create a service account")).to_be_visible()
    walk.at(page, "service accounts")
    page.get_by_role("link", name="Create a service account").click()
    page.get_by_role("button", name="Create", exact=True).click()
    expect(page.get_by_text("Enter a name.").first).to_be_visible()
    walk.at(page, "form of a service account, refused")
    page.get_by_label("Name").fill(name)
    page.get_by_role("radio", name="Administrators", exact=True).check()
    page.get_by_label("Contact address").fill("ops@example.com")
    add_issuer(page, walk)
    page.get_by_role("button", name="Create", exact=True).click()
    expect(row(page, name)).to_contain_text("ops@example.com")
    expect(row(page, name)).to_contain_text("Jonas Lindqvist")
    row(page, name).get_by_label(re.compile("^Actions for")).click()
    walk.at(page, "service accounts, with a menu")


def issue(page: Page, walk: Walk, account: str, name: str) -> None:
    """Choose the service account above the form."""
    page.get_by_role("link", name="Create API token").first.click()
    page.get_by_role("link", name=account, exact=True).click()
    page.get_by_label("Token name").fill(name)
    walk.at(page, "form of a token for a service account")
    page.get_by_role("button", name="Create", exact=True).click()
    expect(page.get_by_role("dialog", name="New API token created")).to_be_visible()
    walk.at(page, "token of a service account, once")
    page.get_by_role("link", name="OK, I've copied token").click()
    expect(row(page, name)).to_contain_text("Service account")
    walk.at(page, "list with a token of a service account")


def hand_over(page: Page, walk: Walk, account: str) -> None:
    dialog = page.get_by_role("dialog", name="Hand over API tokens")
    field = dialog.locator("input[name=to]")
    choose_person(page, walk, field, account)
    dialog.get_by_role("button", name="Hand over").click()


def choose_person(page: Page, walk: Walk, field: Locator, name: str) -> None:
    """By the keyboard, from what is suggested for the name; without scripts by the name."""
    if not walk.scripts:
        field.fill(name)
        return
    field.press_sequentially(name.lower())
    suggested = page.get_by_role("listbox").get_by_role("option", name=name)
    expect(suggested).to_have_count(1)
    walk.at(page, f"{name} is suggested")
    field.press("Escape")  # the dialog stays
    expect(suggested).to_have_count(0)
    field.press("Enter")  # nothing is sent
    expect(suggested).to_have_count(1)
    field.press("ArrowDown")
    field.press("Enter")
    expect(suggested).to_have_count(0)
    expect(field).to_have_value(re.compile(f"{name} \\("))


def add_issuer(page: Page, walk: Walk) -> None:
    """Add a member to those who may issue: after one who is taken out again."""
    field, chosen = page.locator("input[name=another_issuer]"), page.get_by_role("checkbox")
    add = page.get_by_role("button", name="Add", exact=True)
    field.fill("nobody like this")
    add.click()
    expect(page.get_by_text("No one in this account matches.").first).to_be_visible()
    expect(field).to_have_value("nobody like this")
    walk.at(page, "form of a service account, with nobody to add")
    field.fill("okafor")
    add.click()
    expect(chosen).to_have_count(1)
    expect(field).to_have_value("")
    expect(field).to_be_focused()
    chosen.uncheck()
    if walk.scripts:
        field.press_sequentially("lindq")
        expect(page.get_by_role("option", name="Jonas Lindqvist")).to_have_count(1)
        field.press("ArrowDown")
        field.press("Enter")
        expect(field).to_be_focused()
    else:
        field.fill("lindq")
        add.click()
    expect(
        page.get_by_role("checkbox", name=re.compile("^Jonas .* · Engineers$"), checked=True)
    ).to_have_count(1)
    expect(page.get_by_role("checkbox", checked=True)).to_have_count(1)
    walk.at(page, "form of a service account, with an issuer")


def prove_if_asked(page: Page) -> None:
    """A walk with all looks may take longer than the portal believes a password: then give it
    again, and come to the dialog."""
    asked, dialog = page.get_by_label("Password", exact=True), page.get_by_role("dialog")
    expect(asked.or_(dialog)).to_be_visible()
    if asked.count():
        prove(page, PASSWORD)
        expect(dialog).to_be_visible()


@both_ways
def test_token_of_a_person_goes_on_as_one_of_a_service_account(
    visit: Visits, looks: Looks, scripts: bool
) -> None:
    walk = Walk("service-accounts.md", looks, scripts=scripts)
    name, several, single, leaver, leavers = WITH if scripts else WITHOUT
    window = visit(ADMINISTRATOR, java_script_enabled=scripts)
    page = window.page
    make(window, walk, name)
    window.go(TOKENS)
    issue(page, walk, name, f"Purge by {name}")
    page.get_by_label("Issued by").fill(name)
    page.get_by_role("button", name="Apply").click()
    expect(row(page, f"Purge by {name}")).to_be_visible()
    expect(row(page, several[0])).to_have_count(0)

    named = visit(ENGINEER, java_script_enabled=scripts)
    expect(row(named.page, f"Purge by {name}")).to_be_visible()
    issue(named.page, walk, name, f"Named by {name}")

    window.go(TOKENS)
    for each in several:
        row(page, each).get_by_role("checkbox").check()
    page.get_by_role("button", name="Hand over").click()
    expect(page.get_by_role("dialog", name="Hand over API tokens")).to_be_visible()
    walk.at(page, "question of a handover")
    hand_over(page, walk, name)
    expect(page.get_by_text(f"2 API tokens were handed over to {name}.")).to_be_visible()
    choose(page, single, "Hand over")
    hand_over(page, walk, name)
    expect(page.get_by_text(f"1 API token was handed over to {name}.")).to_be_visible()
    for each in (*several, single):
        expect(row(page, each)).to_contain_text(name)

    window.go("/accounts/1/users/")
    choose(page, leaver, "Remove user")
    prove_if_asked(page)
    walk.at(page, "question of a removal, with tokens")
    choose_person(page, walk, page.locator("input[name=hand_over_to]"), name)
    page.get_by_role("button", name="Remove user").click()
    expect(row(page, leaver)).to_have_count(0)
    window.go(TOKENS)
    expect(row(page, leavers)).to_contain_text(name)

    window.go("/accounts/1/users/")
    page.get_by_role("link", name="Who has access").click()
    holder = row(page, name).first
    expect(holder).to_contain_text("Role given by Maria Okafor")
    expect(holder).to_contain_text("Handed over by Maria Okafor")
    walk.at(page, "who has access")

    window.go(SERVICE_ACCOUNTS)
    choose(page, name, "Edit")
    page.get_by_role("radio", name="Users", exact=True).check()
    page.get_by_role("button", name="Save").click()
    refusal = "A token of the service account has a higher role"
    expect(page.get_by_text(refusal).first).to_be_visible()
    walk.at(page, "role of a service account, refused")
    window.go(SERVICE_ACCOUNTS)
    row(page, name).get_by_label(re.compile("^Actions for")).click()
    row(page, name).get_by_role("button", name="Turn off").click()
    expect(row(page, name)).to_contain_text("Turned off")
    walk.at(page, "service account that is turned off")
    choose(page, name, "Remove service account")
    prove_if_asked(page)
    walk.at(page, "question of a removed service account")
    page.get_by_label("Also delete these API tokens").check()
    page.get_by_role("button", name="Remove service account").click()
    expect(row(page, name)).to_have_count(0)

    walk.end()
    assert all("400 (Bad Request)" in each for each in window.troubles)
