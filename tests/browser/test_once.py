"""The secret is shown once, and one form makes one token, whatever the browser does."""

import contextlib

import pytest
from playwright.sync_api import Error, expect

from tests.browser.conftest import ADMINISTRATOR, Visit, Visits
from tests.browser.test_guide import both_ways, create, open_form, row_of

pytestmark = pytest.mark.browser


def secret_of(token: str) -> str:
    return token.split("$")[1]


def count_of(window: Visit, name: str) -> int:
    window.go("/accounts/1/api-tokens/?status=all&page_size=100")
    return row_of(window.page, name).count()


@both_ways
def test_refreshing_the_dialog_neither_shows_it_again_nor_makes_a_second(
    visit: Visits, scripts: bool
) -> None:
    window = visit(ADMINISTRATOR, java_script_enabled=scripts)
    page = window.page
    name = f"Refreshed {scripts}"
    token = create(page, name, "Users")
    assert page.locator("[data-select-page]").is_hidden()  # nothing can be selected behind it
    page.reload()
    expect(page.get_by_text("This form has already been submitted")).to_be_visible()
    assert secret_of(token) not in page.content()
    assert count_of(window, name) == 1


@both_ways
def test_back_and_forward_do_not_show_the_secret_again(visit: Visits, scripts: bool) -> None:
    window = visit(ADMINISTRATOR, java_script_enabled=scripts)
    page = window.page
    name = f"Back and forth {scripts}"
    token = create(page, name, "Users")
    page.get_by_role("link", name="OK, I've copied token").click()
    expect(row_of(page, name)).to_be_visible()
    with contextlib.suppress(Error):  # "Confirm form resubmission": the answer was not kept
        page.go_back()
    page.wait_for_timeout(500)
    assert secret_of(token) not in page.locator("html").inner_html()
    assert count_of(window, name) == 1


def test_leaving_the_page_wipes_the_secret_from_it(visit: Visits) -> None:
    page = visit(ADMINISTRATOR).page
    token = create(page, "Wiped", "Users")
    assert secret_of(token) in page.content()
    page.evaluate("window.dispatchEvent(new PageTransitionEvent('pagehide'))")
    assert secret_of(token) not in page.content()
    assert secret_of(token) not in str(
        page.evaluate("[...document.querySelectorAll('input,textarea')].map(e => e.value)")
    )


@both_ways
def test_a_double_click_on_create_makes_one_token(visit: Visits, scripts: bool) -> None:
    window = visit(ADMINISTRATOR, java_script_enabled=scripts)
    page = window.page
    name = f"Double click {scripts}"
    open_form(page)
    page.get_by_label("Token name").fill(name)
    page.get_by_role("button", name="Create", exact=True).dblclick(no_wait_after=True)
    page.wait_for_load_state()
    expect(
        page.get_by_role("dialog", name="New API token created").or_(
            page.get_by_text("This form has already been submitted")
        )
    ).to_be_visible()
    assert count_of(window, name) == 1


def test_escape_closes_the_dialog_once_the_secret_was_copied(visit: Visits) -> None:
    page = visit(ADMINISTRATOR).page
    create(page, "Escaped", "Users")
    dialog = page.get_by_role("dialog", name="New API token created")
    page.get_by_role("tab", name="Python").click()
    dialog.get_by_role("button", name="Copy : Python").click()
    page.keyboard.press("Escape")
    page.keyboard.press("Escape")
    expect(dialog.get_by_text("Save the token first")).to_be_visible()

    page.get_by_role("tab", name="Python").press("End")
    expect(page.get_by_role("tab", name=".env")).to_be_focused()
    expect(page.get_by_role("tabpanel")).to_have_count(1)
    dialog.get_by_role("button", name="Copy : .env").click()
    expect(dialog.get_by_text("Save the token first")).not_to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_text("“Escaped” was created.")).to_be_visible()


@pytest.mark.parametrize("name", ["<script>alert(1)</script>", "\u0634\u0627\u0631\u0629 🎉"])
def test_names_are_shown_as_they_were_typed(visit: Visits, name: str) -> None:
    page = visit(ADMINISTRATOR).page
    create(page, name, "Users")
    page.get_by_role("link", name="OK, I've copied token").click()
    expect(row_of(page, name)).to_be_visible()
