"""An Administrator registers a service, and limits a token to one of its scopes: the steps of
docs/scopes.md."""

import json
import re
import urllib.error
import urllib.request
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.browser.axe import Looks
from tests.browser.conftest import ADMINISTRATOR, Answer, Visits
from tests.browser.documented import Walk
from tests.browser.test_address_lists import edit, shown_token
from tests.browser.test_guide import both_ways
from tests.browser.test_team import choose, row
from tests.portal import Portal

pytestmark = pytest.mark.browser

SERVICES = "/accounts/1/api-tokens/services/"


@pytest.fixture
def verify(portal: Portal) -> Callable[[str, str], Answer]:
    """Ask as a service does that needs this scope."""

    def ask(token: str, scope: str) -> Answer:
        url = f"{portal.url}/iam/auth/verify?scope={scope}"
        request = urllib.request.Request(url, headers={"Authorization": f"APIKey {token}"})
        try:
            with urllib.request.urlopen(request) as response:
                return Answer(response.status, response.headers["X-Auth-Scopes"])
        except urllib.error.HTTPError as error:
            return Answer(error.code, json.load(error))

    return ask


def fill_scope(page: Page, number: int, code: str, name: str) -> None:
    scope = page.get_by_role("group", name=f"Scope {number}", exact=True)
    scope.get_by_label("Code").fill(code)
    scope.get_by_label("What it allows").fill(name)


@both_ways
def test_token_is_limited_to_a_scope_of_a_service(
    visit: Visits, looks: Looks, verify: Callable[[str, str], Answer], scripts: bool
) -> None:
    walk = Walk("scopes.md", looks, scripts=scripts)
    code, name = ("cdn", "Release purge") if scripts else ("edge", "Hourly purge")
    window = visit(ADMINISTRATOR, java_script_enabled=scripts)
    page = window.page
    window.go("/accounts/1/")
    walk.at(page, "account")
    page.get_by_role("main").get_by_role("link", name="Services and scopes").click()
    expect(page.get_by_role("link", name="Register a service")).to_be_visible()
    walk.at(page, "services")
    page.get_by_role("link", name="Register a service").click()
    fill_scope(page, 1, "Purge", "Purge the cache")
    page.get_by_role("button", name="Register").click()
    expect(page.get_by_text("Enter a name.").first).to_be_visible()
    walk.at(page, "form of a service, refused")
    page.get_by_label("Code").first.fill(code)
    page.get_by_label("Name").first.fill(f"Delivery {code}")
    fill_scope(page, 1, "purge", "Purge the cache")
    fill_scope(page, 2, "read", "Read the configuration")
    page.get_by_text("In other languages").first.click()
    page.get_by_label("Deutsch").first.fill(f"Auslieferung {code}")
    page.get_by_role("button", name="Register").click()
    expect(page.get_by_text(f"“Delivery {code}” was registered.")).to_be_visible()
    row(page, code).get_by_label(re.compile("^Actions for")).click()
    walk.at(page, "services, with a menu")

    window.go("/accounts/1/api-tokens/")
    page.get_by_role("link", name="Create API token").first.click()
    page.get_by_label("Token name").fill(name)
    page.get_by_role("radio", name="Only what you choose").check()
    page.get_by_role("button", name="Create", exact=True).click()
    expect(page.get_by_text("Choose at least one scope.").first).to_be_visible()
    walk.at(page, "form of a token without a scope")
    for scope in ("purge", "read"):
        page.get_by_role("checkbox", name=f"{code}:{scope}").check()
    page.get_by_role("button", name="Create", exact=True).click()
    token = shown_token(page)
    walk.at(page, "limited token, once")
    assert verify(token, f"{code}:purge") == (200, f"{code}:purge {code}:read")
    assert verify(token, "tokens:read").body["code"] == "scope_missing"

    page.get_by_role("link", name="OK, I've copied token").click()
    expect(row(page, name)).to_contain_text("2 scopes")
    walk.at(page, "list with a limited token")
    row(page, name).get_by_role("link", name=name, exact=True).click()
    expect(page.get_by_role("definition").filter(has_text=f"{code}:purge")).to_be_visible()
    walk.at(page, "page of a limited token")
    edit(page)
    page.get_by_role("checkbox", name=f"{code}:read").uncheck()
    walk.at(page, "form of a limited token")
    page.get_by_role("button", name="Save").last.click()
    expect(page.get_by_text(f"“{name}” was saved.")).to_be_visible()
    refused = verify(token, f"{code}:read")
    assert (refused.status, refused.body["scope"]) == (403, f"{code}:read")
    walk.at(page, "events of a token whose scopes were changed")

    window.go(SERVICES)
    choose(page, code, "Edit")
    fill_scope(page, 1, "", "")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text(f"1 active API token has the scope {code}:purge").first).to_be_visible()
    walk.at(page, "scope in use")
    page.get_by_role("link", name="Show these API tokens").click()
    expect(row(page, name)).to_be_visible()
    window.go(SERVICES)
    choose(page, code, "Remove service")
    remove = page.get_by_role("dialog").get_by_role("button", name="Remove service")
    expect(remove).to_be_visible()
    walk.at(page, "question of a removed service")
    remove.click()
    in_use = page.get_by_role("dialog").get_by_role("link", name="Show these API tokens")
    expect(in_use).to_be_visible()
    walk.at(page, "service in use")
    in_use.click()
    row(page, name).get_by_role("link", name=name, exact=True).click()
    edit(page)
    page.get_by_role("radio", name="Read only").check()
    for box in page.get_by_role("checkbox").all():
        if box.is_visible():
            box.uncheck()
    page.get_by_role("button", name="Save").last.click()
    expect(page.get_by_text(f"“{name}” was saved.")).to_be_visible()
    assert verify(token, "users:read").status == 200
    window.go("/accounts/1/api-tokens/access/")
    expect(page.get_by_role("row").filter(has_text=name)).to_contain_text("Read only")
    walk.at(page, "who has access, and to what")
    window.go("/accounts/1/audit-log/")
    walk.at(page, "audit log")

    window.go("/accounts/1/api-tokens/")
    choose(page, name, "Delete API token")
    page.get_by_role("dialog").get_by_role("button", name="Delete API token").click()
    window.go(SERVICES)
    choose(page, code, "Remove service")
    page.get_by_role("dialog").get_by_role("button", name="Remove service").click()
    expect(page.get_by_text(f"“Delivery {code}” was removed.")).to_be_visible()
    expect(row(page, code)).to_have_count(0)
    walk.end()
    assert all("400 (Bad Request)" in each for each in window.troubles)
