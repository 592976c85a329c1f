"""What is pressed does what it says: copying, tabs, theme, rows, and what unfolds."""

import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import ADMINISTRATOR, USER, Visits
from tests.browser.test_everybody import open_token
from tests.browser.test_guide import both_ways, row_of

pytestmark = pytest.mark.browser

CLIPBOARD = ["clipboard-read", "clipboard-write"]
BACKGROUND = "getComputedStyle(document.documentElement).backgroundColor"
LIGHT, DARK = "rgb(246, 247, 246)", "rgb(13, 17, 16)"


def clipboard(page: Page) -> str:
    return str(page.evaluate("navigator.clipboard.readText()"))


def height(page: Page, selector: str) -> float:
    box = page.locator(selector).first.bounding_box()
    assert box is not None
    return box["height"]


def test_copy_id_of_the_menu_and_of_the_page_copies_the_id(visit: Visits) -> None:
    window = visit(ADMINISTRATOR, permissions=CLIPBOARD)
    page = window.page
    row = row_of(page, "Uptime probe")
    token_id = row.locator(".tokens__id").inner_text()
    page.get_by_label("Actions for Uptime probe").click()
    row.get_by_role("button", name="Copy ID").click()
    expect(row.get_by_role("button", name="Copied")).to_be_visible()
    assert clipboard(page) == token_id

    page.evaluate("navigator.clipboard.writeText('')")
    open_token(window, "Uptime probe")
    page.get_by_role("button", name="Copy ID").first.click()
    expect(page.get_by_role("button", name="Copied").first).to_be_visible()
    assert clipboard(page) == token_id
    assert window.troubles == []


def test_copy_as_leads_to_the_formats_and_copies_each_as_it_stands_there(visit: Visits) -> None:
    window = visit(ADMINISTRATOR, permissions=CLIPBOARD)
    page = window.page
    row = row_of(page, "Uptime probe")
    page.get_by_label("Actions for Uptime probe").click()
    row.get_by_role("link", name="Copy as…").click()
    expect(page).to_have_url(re.compile("#copy-as$"))
    part = page.get_by_role("region", name="Copy as")
    expect(part).to_be_in_viewport()
    tabs = part.get_by_role("tab")
    names = tabs.all_inner_texts()
    assert len(names) > 2
    copied = set()
    for name in names:
        part.get_by_role("tab", name=name, exact=True).click()
        panel = part.get_by_role("tabpanel")
        expect(panel).to_have_count(1)
        panel.get_by_role("button", name="Copy").click()
        expect(panel.get_by_role("button", name="Copied")).to_be_visible()
        copied.add(clipboard(page))
        assert clipboard(page) == panel.locator("code").inner_text().strip()
    assert len(copied) == len(names)
    assert window.troubles == []


@both_ways
def test_theme_is_switched_from_the_menu_and_stays(visit: Visits, scripts: bool) -> None:
    window = visit(USER, java_script_enabled=scripts, color_scheme="light")
    page = window.page
    for theme, colour in (("Dark", DARK), ("Light", LIGHT), ("System", LIGHT)):
        page.locator("summary", has_text="Your menu").click()
        page.get_by_role("button", name=theme, exact=True).click()
        expect(page.get_by_role("heading", name="API tokens", level=1)).to_be_visible()
        assert page.evaluate(BACKGROUND) == colour
        window.go("/profile/")
        assert page.evaluate(BACKGROUND) == colour
        page.locator("summary", has_text="Your menu").click()
        button = page.get_by_role("button", name=theme, exact=True)
        expect(button).to_have_attribute("aria-pressed", "true")
        window.go("/")
    page.emulate_media(color_scheme="dark")
    assert page.evaluate(BACKGROUND) == DARK


def test_examples_of_the_documentation_change_language_and_are_copied(visit: Visits) -> None:
    window = visit(ADMINISTRATOR, permissions=CLIPBOARD)
    page = window.page
    window.go("/iam/docs")
    page.locator("details.operation__fold > summary").first.click()
    call = page.locator("article.operation").first
    languages = page.locator("input[name=example-language]")
    seen = set()
    for number in range(languages.count()):
        languages.nth(number).check()
        example = call.locator(".example:visible")
        expect(example).to_have_count(1)
        example.get_by_role("button", name="Copy").click()
        expect(example.get_by_role("button", name="Copied")).to_be_visible()
        assert clipboard(page) == example.locator("code").inner_text().strip()
        seen.add(clipboard(page))
    assert len(seen) == languages.count() > 2
    assert any("/clients/1/" in text for text in seen)  # the reader's own account
    assert window.troubles == []


@both_ways
def test_caution_stands_beside_never_with_the_role_administrators_alone(
    visit: Visits, scripts: bool
) -> None:
    window = visit(ADMINISTRATOR, java_script_enabled=scripts)
    page = window.page
    window.go("/accounts/1/api-tokens/create/")
    caution = page.get_by_text("gives full access to the account for good")
    for role, expiration, is_shown in (
        ("Administrators", "Set expiration date", False),
        ("Administrators", "Never expire", True),
        ("Engineers", "Never expire", False),
        ("Administrators", "Never expire", True),
    ):
        page.get_by_role("radio", name=role, exact=True).check()
        page.get_by_role("radio", name=expiration).check()
        expect(caution).to_be_visible(visible=is_shown)


def test_compact_rows_are_lower_than_comfortable_ones(visit: Visits) -> None:
    window = visit(USER)
    page = window.page
    heights, rows = {}, {}
    for density in ("Comfortable", "Compact"):
        page.locator("summary", has_text="View").click()
        page.get_by_role("button", name=density, exact=True).click()
        expect(page.get_by_role("heading", name="API tokens", level=1)).to_be_visible()
        for width in (1440, 1024, 390):
            page.set_viewport_size({"width": width, "height": 900})
            heights[density, width] = height(page, ".tokens tbody")
            rows[density] = page.locator(".tokens tbody tr").count()
        page.set_viewport_size({"width": 1440, "height": 900})
    assert rows["Compact"] == rows["Comfortable"] > 1
    for width in (1440, 1024):
        assert heights["Compact", width] < 0.9 * heights["Comfortable", width]
    assert heights["Compact", 390] <= heights["Comfortable", 390]


def _are_lines(page: Page) -> bool:
    """Whether each note above the list is a line, and all are one line where there is room."""
    heights = [note.bounding_box()["height"] for note in page.locator(".note").all()]  # type: ignore[index]  # they are seen
    is_narrow = page.viewport_size["width"] < 768  # type: ignore[index]  # it has one
    most = sum(heights) * 1.3 if is_narrow else max(heights) * 1.1
    return max(heights) < 40 and height(page, ".notes") <= most


@both_ways
def test_notes_above_the_list_are_lines_until_they_are_unfolded(
    visit: Visits, scripts: bool
) -> None:
    window = visit(ADMINISTRATOR, java_script_enabled=scripts)
    page = window.page
    said = page.get_by_text("when their provider revokes their access")
    introduction = page.get_by_text("lets an application act in your account")
    for width in (390, 768, 1024, 1440, 1920):
        page.set_viewport_size({"width": width, "height": 900})
        assert _are_lines(page), width
    for note, text in (
        ("SSO: tokens stay active when a provider revokes access", said),
        ("About API tokens", introduction),
    ):
        expect(text).not_to_be_visible()
        page.locator("summary", has_text=note).click()
        expect(text).to_be_visible()
        page.locator("summary", has_text=note).click()
        expect(text).not_to_be_visible()
