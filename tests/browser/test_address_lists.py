"""A person limits a token to addresses, sees it rejected from elsewhere, and lets the addresses
that were seen fill the list; axe looks at each page."""

import re
from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.browser.axe import Looks
from tests.browser.conftest import ADMINISTRATOR, Answer, Visits
from tests.browser.documented import Walk
from tests.browser.test_guide import TOKEN, both_ways
from tests.browser.test_team import row

pytestmark = pytest.mark.browser

FILL = "Use the addresses seen in the last 30 days"


def shown_token(page: Page) -> str:
    dialog = page.get_by_role("dialog", name="New API token created")
    expect(dialog).to_be_visible()
    box = dialog.get_by_role("textbox")
    found = TOKEN.search(dialog.inner_text()) or TOKEN.search(box.first.input_value())
    assert found is not None, "the dialog shows no token"
    return found[0]


def edit(page: Page) -> None:
    page.get_by_role("link", name="Edit", exact=True).click()
    expect(page.get_by_role("heading", name="Edit API token")).to_be_visible()


@both_ways
def test_token_is_limited_to_the_addresses_it_was_seen_at(
    visit: Visits, looks: Looks, call: Callable[[str], Answer], scripts: bool
) -> None:
    walk, name = Walk("address-lists.md", looks, scripts=scripts), f"Limited {scripts}"
    window = visit(ADMINISTRATOR, java_script_enabled=scripts)
    page = window.page
    window.go("/accounts/1/api-tokens/create/")
    walk.at(page, "form of a token")
    addresses = page.get_by_label("Allowed addresses")
    expect(addresses).to_be_hidden()
    page.get_by_label("Token name").fill(name)
    page.get_by_text("Limit to addresses").click()
    addresses.fill("127.0.0.1/8")
    page.get_by_role("button", name="Create", exact=True).click()
    expect(addresses).to_be_visible()
    expect(page.get_by_text("Write 127.0.0.0/8 for the network").first).to_be_visible()
    walk.at(page, "form of a token with a bad list")
    addresses.fill("127.0.0.0/8")
    page.get_by_role("button", name="Create", exact=True).click()
    token = shown_token(page)
    assert call(token).status == 200

    page.get_by_role("link", name="OK, I've copied token").click()
    expect(row(page, name)).to_contain_text("Address list")
    walk.at(page, "list with a limited token")
    row(page, name).get_by_role("link", name=name, exact=True).click()
    expect(page.get_by_role("definition").filter(has_text="127.0.0.0/8")).to_be_visible()

    edit(page)
    addresses.fill("192.0.2.1\n0.0.0.0/0")
    page.get_by_role("button", name="Save").last.click()
    expect(page.get_by_text("allows all such addresses").first).to_be_visible()
    walk.at(page, "form that asks whether all addresses are meant")
    addresses.fill("192.0.2.1")
    page.get_by_role("button", name="Save").last.click()
    expect(page.get_by_text(f"“{name}” was saved.")).to_be_visible()
    refused = call(token)
    assert (refused.status, refused.body["code"]) == (403, "address_not_allowed")
    page.reload()
    expect(page.get_by_text("Rejected: used from an address that isn't allowed")).to_be_visible()
    walk.at(page, "page of a token that was used from elsewhere")

    edit(page)
    page.get_by_label("Description").fill("Kept")
    page.get_by_role("button", name=FILL).click()
    expect(addresses).to_have_value("127.0.0.1")
    expect(page.get_by_label("Description")).to_have_value("Kept")
    walk.at(page, "form that the seen addresses have filled")
    page.get_by_label("Token name").press("Enter")
    expect(page.get_by_text(f"“{name}” was saved.")).to_be_visible()
    assert call(token).status == 200

    window.go("/accounts/1/notifications/")
    told = f"The API token “{name}” was used from an address that isn't allowed"
    expect(page.get_by_role("heading", name=told)).to_be_visible()
    window.go("/accounts/1/api-tokens/access/")
    expect(page.get_by_role("row").filter(has_text=name)).to_contain_text(
        re.compile(r"only from\s+127\.0\.0\.1")
    )
    walk.at(page, "who has access, and from where")
    walk.end()
    assert all("400 (Bad Request)" in each for each in window.troubles)
