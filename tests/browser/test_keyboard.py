"""What people do to tokens with Tab, arrows, Space and Enter alone, with scripts and without."""

import csv
from collections.abc import Callable

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.conftest import ADMINISTRATOR, PASSWORD, Answer, Visit, Visits
from tests.browser.test_guide import TOKEN, both_ways
from tests.browser.test_signing_in import FIVE_MINUTES_PASS

pytestmark = pytest.mark.browser

LIST = "/accounts/1/api-tokens/"
STOPS = 150
"""More than any page has between its beginning and what is looked for."""
HAS_FOCUS = "element => element === document.activeElement"
CREATE = """
from django.utils import timezone
from accounts.models import Membership
from tests.factories import issue
member = Membership.objects.get(account_id=1, user__email="admin@example.com")
for name in {names!r}:
    issued = issue(member, name=name, at=timezone.now())
    print(issued.key.spell())
"""


def issue(window: Visit, *names: str) -> list[str]:
    """Issue tokens beside the portal; returns their texts."""
    return window.portal.shell.run(CREATE.format(names=names)).split()


def press(page: Page, wanted: Locator, key: str = "Enter", *, by: str = "Tab") -> None:
    """Go to what is wanted by the Tab key, as one without a mouse does, and press a key."""
    for _ in range(STOPS):
        if wanted.count() and wanted.first.evaluate(HAS_FOCUS):
            page.keyboard.press(key)
            return
        page.keyboard.press(by)
    raise AssertionError(f"The Tab key does not lead to {wanted}.")


def link(page: Page, name: str) -> Locator:
    return page.get_by_role("link", name=name, exact=True)


def button(page: Page, name: str) -> Locator:
    return page.get_by_role("button", name=name, exact=True)


@both_ways
def test_token_is_rotated_and_its_old_secret_ended(
    visit: Visits, call: Callable[[str], Answer], scripts: bool
) -> None:
    window = visit(ADMINISTRATOR, java_script_enabled=scripts)
    page, name = window.page, f"Rotated by keyboard {scripts}"
    [old] = issue(window, name)
    window.go(f"{LIST}?q={name}")

    press(page, page.get_by_label(f"Actions for {name}"))
    press(page, link(page, "Rotate"))
    press(page, page.get_by_role("radio", name="24 hours"), "ArrowUp")
    expect(page.get_by_role("radio", name="1 hour")).to_be_checked()
    press(page, button(page, "Rotate"))
    dialog = page.get_by_role("dialog", name="API token rotated")
    expect(dialog).to_contain_text("Old secret works until")
    found = TOKEN.search(dialog.inner_text())
    assert found is not None
    assert [call(each).status for each in (old, found[0])] == [200, 200]
    press(page, link(page, "OK, I've copied token"))
    expect(page.get_by_text(f"“{name}” was rotated.")).to_be_visible()

    press(page, link(page, "End the old secret now"))
    asked = page.get_by_role("dialog", name="End the old secret")
    expect(asked).to_contain_text("The new one keeps working.")
    press(page, asked.get_by_role("button", name="End the old secret now"))
    expect(page.get_by_text("The old secret no longer works.").first).to_be_visible()
    assert [call(each).status for each in (old, found[0])] == [401, 200]
    assert window.troubles == []


@both_ways
def test_token_that_was_found_is_looked_up_and_deleted(
    visit: Visits, call: Callable[[str], Answer], scripts: bool
) -> None:
    window = visit(ADMINISTRATOR, java_script_enabled=scripts)
    page, name = window.page, f"Found in a log {scripts}"
    [token] = issue(window, name)
    press(page, link(page, "Look up a token"))
    press(page, page.get_by_label("API token", exact=True), "Control+A")
    page.keyboard.type(token)
    press(page, button(page, "Look up"))
    expect(page.get_by_text(f"This is “{name}”")).to_be_visible()

    press(page, link(page, "Delete API token"))
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text(name)
    press(page, dialog.get_by_role("button", name="Delete API token"))
    expect(page.get_by_text(f"“{name}” was deleted.")).to_be_visible()
    assert call(token).body["code"] == "deleted"
    assert not [url for url in window.requests if token.split("$")[1] in url]
    assert window.troubles == []


@both_ways
def test_filtered_list_is_downloaded(visit: Visits, scripts: bool) -> None:
    window = visit(ADMINISTRATOR, java_script_enabled=scripts)
    page, names = window.page, {f"Downloaded {number} {scripts}" for number in (1, 2)}
    issue(window, *names)
    press(page, page.get_by_label("Search"), "Control+A")
    page.keyboard.type("Downloaded")
    page.keyboard.press("Enter")
    expect(page.get_by_text("Uptime probe")).to_have_count(0)
    with page.expect_download() as saved:
        press(page, link(page, "Download as CSV"))
    with saved.value.path().open(newline="", encoding="utf-8-sig") as file:
        found = {row["name"] for row in csv.DictReader(file)}
    assert names <= found
    assert {name.split()[0] for name in found} == {"Downloaded"}
    assert window.troubles == []


@both_ways
def test_all_tokens_that_match_are_deleted_after_a_fresh_sign_in(
    visit: Visits, call: Callable[[str], Answer], scripts: bool
) -> None:
    window = visit(ADMINISTRATOR, java_script_enabled=scripts)
    page, word = window.page, f"Spring{scripts}"
    tokens = issue(window, *(f"{word} {number}" for number in range(11)))
    window.go(f"{LIST}?q={word}&page_size=10")
    window.portal.shell.run(FIVE_MINUTES_PASS)

    if scripts:  # they offer all that match once something is selected
        press(page, page.get_by_label("Select all on this page"), "Space")
        expect(page.get_by_role("status").filter(has_text="10 selected")).to_be_visible()
    press(page, page.get_by_label("Select all 11 that match"), "Space", by="Shift+Tab")
    press(page, button(page, "Delete selected"))
    expect(page.get_by_role("heading", name="Confirm it's you")).to_be_visible()
    press(page, page.get_by_label("Password", exact=True), "Control+A")
    page.keyboard.type(PASSWORD)
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog", name="Delete API tokens")
    expect(dialog).to_contain_text("You are about to delete 11 API tokens.")
    press(page, dialog.get_by_role("button", name="Delete 11 API tokens"))
    expect(page.get_by_text("11 API tokens were deleted.")).to_be_visible()
    assert {call(token).body["code"] for token in tokens} == {"deleted"}
    assert window.troubles == []
