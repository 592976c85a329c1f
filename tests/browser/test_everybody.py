"""Everybody can use every page: axe, keyboard, small screens, no stranger's server."""

import pytest
from playwright.sync_api import expect

from tests.browser.axe import Looks, too_wide
from tests.browser.conftest import ADMINISTRATOR, Visit, Visits
from tests.browser.test_guide import create, row_of

pytestmark = pytest.mark.browser

PAGES = {
    "list": "/accounts/1/api-tokens/",
    "all": "/accounts/1/api-tokens/?status=all&page_size=10&sort=name",
    "nothing found": "/accounts/1/api-tokens/?q=there-is-no-such-token",
    "wrong filter": "/accounts/1/api-tokens/?issued_by=nobody",
    "suspended": "/accounts/1/api-tokens/?status=suspended",
    "create": "/accounts/1/api-tokens/create/",
    "usage": "/accounts/1/api-tokens/usage/",
    "look up": "/accounts/1/api-tokens/look-up/",
    "profile": "/profile/",
    "account": "/accounts/1/",
    "users": "/accounts/1/users/",
    "no such user": "/accounts/1/users/?q=nobody",
    "users by single sign-on": "/accounts/1/users/?signs_in_by=sso",
    "people who stay away": "/accounts/1/single-sign-on/absence/",
    "invite": "/accounts/1/users/invite/",
    "audit log": "/accounts/1/audit-log/",
    "documentation": "/iam/docs",
    "not found": "/no-such-page/",
}


def open_token(window: Visit, name: str) -> None:
    """Go to the page of the token whose name begins so, as people do: by the list."""
    window.go("/accounts/1/api-tokens/?q=" + name.split()[0])
    window.page.get_by_role("link", name=name).click()
    expect(window.page.get_by_role("heading", name="Usage in the last 30 days")).to_be_visible()


def test_axe_finds_nothing_on_any_page_or_dialog(visit: Visits, looks: Looks) -> None:
    window = visit()
    page = window.page
    window.go("/sign-in/")
    looks.at(page, "sign-in")
    window.sign_in(ADMINISTRATOR)
    for name, path in PAGES.items():
        window.go(path)
        looks.at(page, name)

    window.go("/accounts/1/api-tokens/create/")
    page.get_by_label("Token name").fill(" ")
    page.get_by_role("button", name="Create", exact=True).click()
    looks.at(page, "refused form")

    create(page, f"axe {looks.sees_all}", "Users")
    looks.at(page, "one-time dialog")
    page.reload()
    looks.at(page, "already created")

    window.go("/accounts/1/api-tokens/")
    page.get_by_label("Actions for Uptime probe").click()
    looks.at(page, "menu")
    row_of(page, "Uptime probe").get_by_role("link", name="Delete API token").click()
    expect(page.get_by_role("dialog")).to_be_visible()
    looks.at(page, "delete dialog")

    open_token(window, "Automatic cache clearing")
    page.get_by_text("Show numbers").click()
    looks.at(page, "token")
    for link in ("Edit", "Rotate", "End the old secret now"):
        page.get_by_role("link", name=link, exact=True).click()
        looks.at(page, link)
        page.get_by_role("link", name="Cancel").click()
        expect(page.get_by_role("heading", name="Old secret")).to_be_visible()

    assert looks.found == {}


def test_no_page_scrolls_sideways(visit: Visits) -> None:
    window = visit(ADMINISTRATOR)
    for name, path in PAGES.items():
        window.go(path)
        assert too_wide(window.page) == {}, name


def test_page_of_a_token_with_a_long_name_does_not_scroll_sideways(visit: Visits) -> None:
    window = visit(ADMINISTRATOR)
    open_token(window, "Nightly export of invoices")
    assert too_wide(window.page) == {}
    for link in ("Edit", "Rotate"):
        window.page.get_by_role("link", name=link, exact=True).click()
        assert too_wide(window.page) == {}, link
        window.page.get_by_role("link", name="Cancel").click()


def test_pages_ask_no_other_server_and_obey_their_own_policy(visit: Visits) -> None:
    window = visit(ADMINISTRATOR)
    for name, path in PAGES.items():
        if name != "not found":
            window.go(path)
    create(window.page, "Policy", "Users")
    foreign = [url for url in window.requests if not url.startswith((window.portal.url, "data:"))]
    assert foreign == []
    assert [trouble for trouble in window.troubles if "status of 400" not in trouble] == []


def test_the_main_job_is_done_with_the_keyboard_alone(visit: Visits) -> None:
    window = visit(ADMINISTRATOR)
    page = window.page
    page.get_by_role("link", name="Create API token").first.focus()
    page.keyboard.press("Enter")
    expect(page.get_by_role("heading", name="Create API token")).to_be_visible()
    page.get_by_label("Token name").focus()
    page.keyboard.type("By keyboard")
    page.keyboard.press("Enter")
    dialog = page.get_by_role("dialog", name="New API token created")
    expect(dialog).to_be_visible()
    for _ in range(12):  # the focus stays inside the dialog
        page.keyboard.press("Tab")
        inside = (
            "document.activeElement.closest('dialog') || document.activeElement === document.body"
        )
        assert page.evaluate(f"Boolean({inside})")
    dialog.get_by_role("link", name="OK, I've copied token").focus()
    page.keyboard.press("Enter")

    menu = page.get_by_label("Actions for By keyboard")
    menu.focus()
    page.keyboard.press("Enter")
    delete = row_of(page, "By keyboard").get_by_role("link", name="Delete API token")
    expect(delete).to_be_visible()
    page.keyboard.press("Escape")
    expect(delete).not_to_be_visible()
    expect(menu).to_be_focused()
    page.keyboard.press("Enter")
    delete.focus()
    page.keyboard.press("Enter")
    page.get_by_role("dialog").get_by_role("button", name="Delete API token").focus()
    page.keyboard.press("Enter")
    expect(page.get_by_text("was deleted")).to_be_visible()


def test_focus_is_visible_at_every_stop_of_the_tab_key(visit: Visits) -> None:
    """Every stop of the Tab key on the list has an outline, or a ring drawn as a shadow."""
    window = visit(ADMINISTRATOR)
    window.go("/accounts/1/api-tokens/")
    for _ in range(25):
        window.page.keyboard.press("Tab")
        seen = window.page.evaluate(
            """() => { const style = getComputedStyle(document.activeElement);
            return style.outlineStyle !== 'none' || style.boxShadow !== 'none'; }"""
        )
        where = window.page.evaluate("document.activeElement.outerHTML.slice(0, 80)")
        assert seen, f"no visible focus on {where}"
