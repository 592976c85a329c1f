"""The user guide, followed word by word: with and without JavaScript, by both kinds of people."""

import re
from collections.abc import Callable
from datetime import date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.axe import Violations
from tests.browser.conftest import ADMINISTRATOR, USER, Answer, Visits

pytestmark = pytest.mark.browser

both_ways = pytest.mark.parametrize(
    "scripts", [True, False], ids=["with JavaScript", "without JavaScript"]
)
BERLIN = ZoneInfo("Europe/Berlin")
"""Where the Administrator of the demo is."""
TOKEN = re.compile(r"[1-9][0-9]*\$[0-9a-f]{72}")


def row_of(page: Page, name: str) -> Locator:
    return page.get_by_role("row").filter(has_text=name)


def open_form(page: Page) -> None:
    """Steps 1 to 3: Profile, API tokens, Create API token."""
    page.get_by_role("link", name="My profile").first.click()
    page.get_by_role("navigation").get_by_role("link", name="API tokens").first.click()
    page.get_by_role("link", name="Create API token").first.click()
    expect(page.get_by_role("heading", name="Create API token")).to_be_visible()


def create(page: Page, name: str, role: str, *, days: int | None = None) -> str:
    """Steps 1 to 9; returns the token as the person copies it."""
    open_form(page)
    page.get_by_label("Token name").fill(name)
    page.get_by_label("Description").fill("Written by a person\nin two lines")
    page.get_by_role("radio", name=role).check()
    if days is None:
        page.get_by_role("radio", name="Never expire").check()
    else:
        page.get_by_role("radio", name="Set expiration date").check()
        until = date.today() + timedelta(days=days)  # noqa: DTZ011  # the person's calendar
        page.get_by_label("Expiration date", exact=True).fill(until.isoformat())
    page.get_by_role("button", name="Create", exact=True).click()
    dialog = page.get_by_role("dialog", name="New API token created")
    expect(dialog).to_be_visible()
    page.wait_for_load_state()  # the dialog is shown before the scripts run
    found = TOKEN.search(dialog.inner_text()) or TOKEN.search(
        dialog.get_by_role("textbox").first.input_value()
    )
    assert found is not None, "the dialog shows no token"
    return found[0]


@both_ways
@pytest.mark.parametrize(
    ("email", "role"), [(ADMINISTRATOR, "Administrators"), (USER, "Users")], ids=["admin", "user"]
)
def test_a_person_creates_uses_finds_and_deletes_a_token(
    visit: Visits, call: Callable[[str], Answer], scripts: bool, email: str, role: str
) -> None:
    window = visit(email, java_script_enabled=scripts)
    page, name = window.page, f"Backup of {email} {scripts}"

    token = create(page, name, role, days=30)
    assert call(token).status == 200, "the token works at once"
    assert call(token.replace("$", "_")).status == 200, "in both spellings"
    arrived = re.compile("First request received, from 127.0.0.1")
    if scripts:
        expect(page.get_by_text(arrived)).to_be_visible()
    else:
        with page.expect_popup() as opened:
            page.get_by_role("link", name="Check for the first request").click()
        expect(opened.value.get_by_text(arrived)).to_be_visible()
        opened.value.close()

    page.get_by_role("link", name="OK, I've copied token").click()
    row = row_of(page, name)
    expect(row).to_be_visible()
    expect(row).to_be_focused()
    expect(page.get_by_text(f"“{name}” was created.")).to_be_visible()
    expect(row).to_contain_text(token.split("$")[0])
    expect(row).to_contain_text(role)
    expect(row).to_contain_text("Active")
    assert token.split("$")[1] not in page.content(), "the secret is shown only once"

    row.get_by_label(re.compile("^Actions for")).click()
    row.get_by_role("link", name="Delete API token").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text(name)
    dialog.get_by_role("button", name="Delete API token").click()
    expect(page.get_by_text("was deleted")).to_be_visible()
    expect(row_of(page, name)).to_have_count(0)

    refused = call(token)
    assert (refused.status, refused.body["code"]) == (401, "deleted")


@both_ways
def test_filters_find_tokens_and_every_state_has_an_address(visit: Visits, scripts: bool) -> None:
    window = visit(ADMINISTRATOR, java_script_enabled=scripts)
    page = window.page
    page.get_by_label("Status").select_option(label="Deleted")
    page.get_by_role("button", name="Apply").click()
    expect(row_of(page, "Laptop of Jonas")).to_be_visible()
    expect(row_of(page, "Uptime probe")).to_have_count(0)

    page.get_by_label("Issued by").fill("theo")
    page.get_by_role("button", name="Apply").click()
    expect(row_of(page, "Migration of the old shop")).to_be_visible()
    expect(row_of(page, "Laptop of Jonas")).to_have_count(0)
    expect(row_of(page, "Migration of the old shop")).to_contain_text("The user has been deleted")

    address = page.url
    page.goto(address)
    expect(row_of(page, "Newsletter sync")).to_be_visible()
    expect(page.get_by_label("Issued by")).to_have_value("Theo Brandt (former@example.com)")


def test_person_is_chosen_with_the_keyboard_from_suggestions(
    visit: Visits, violations: Violations
) -> None:
    page = visit(ADMINISTRATOR).page
    field = page.locator("input[name=issued_by]")
    field.press_sequentially("brandt")
    box = page.get_by_role("combobox", name="Issued by")
    expect(box).to_have_attribute("aria-expanded", "true")
    suggested = page.get_by_role("listbox", name="Issued by").get_by_role("option")
    expect(suggested).to_have_text(["Theo Brandt (former@example.com)"])
    assert violations(page) == []

    field.press("ArrowDown")
    expect(box).to_have_attribute("aria-activedescendant", re.compile("_0$"))
    field.press("Escape")
    expect(suggested).to_have_count(0)
    field.press("ArrowDown")
    expect(suggested).to_have_count(1)
    field.press("ArrowDown")
    field.press("Enter")

    expect(page).to_have_url(re.compile("issued_by=Theo"))
    expect(field).to_have_value("Theo Brandt (former@example.com)")


@both_ways
def test_several_tokens_are_deleted_in_one_step(visit: Visits, scripts: bool) -> None:
    page = visit(USER, java_script_enabled=scripts).page
    names = [f"Bulk {number} {scripts}" for number in (1, 2)]
    for name in names:
        create(page, name, "Users")
        page.get_by_role("link", name="OK, I've copied token").click()
    button = page.get_by_role("button", name="Delete selected")
    expect(button).not_to_be_visible()
    for name in names:
        page.get_by_label(f"Select {name}", exact=True).check()
    if scripts:
        expect(page.get_by_role("status").filter(has_text="2 selected")).to_be_visible()
    button.click()
    dialog = page.get_by_role("dialog", name="Delete API tokens")
    expect(dialog).to_contain_text("You are about to delete 2 API tokens.")
    dialog.get_by_role("button", name="Delete 2 API tokens").click()
    expect(page.get_by_text("2 API tokens were deleted.")).to_be_visible()
    for name in names:
        expect(row_of(page, name)).to_have_count(0)


@both_ways
def test_filters_are_behind_one_button_on_a_phone(visit: Visits, scripts: bool) -> None:
    phone = {"width": 390, "height": 844}
    page = visit(ADMINISTRATOR, java_script_enabled=scripts, viewport=phone).page
    expect(page.get_by_label("Status")).not_to_be_visible()
    page.locator("label", has_text="Filters").click()
    page.get_by_label("Expiration").select_option(label="Never expires")
    if not scripts:  # they apply what was chosen with the pointer
        page.get_by_role("button", name="Apply").click()
    expect(page.locator("label", has_text="Filters")).to_contain_text("1")
    expect(row_of(page, "Emergency access")).to_be_visible()
    expect(row_of(page, "Uptime probe")).to_have_count(0)
    page.get_by_role("link", name="Remove the filter Expiration").click()
    expect(row_of(page, "Uptime probe")).to_be_visible()


def test_enter_in_a_select_applies_the_filter(visit: Visits) -> None:
    page = visit(ADMINISTRATOR).page
    page.get_by_label("Status").focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    expect(page).to_have_url(re.compile("status=suspended"))


def test_exact_instant_shows_on_focus_and_the_switch_is_remembered(visit: Visits) -> None:
    window = visit(ADMINISTRATOR)
    page = window.page
    used = row_of(page, "Uptime probe").locator(".ago")
    expect(used.locator(".ago__exact")).not_to_be_visible()
    used.focus()
    expect(used.locator(".ago__exact")).to_contain_text("UTC")
    expect(used.locator(".ago__exact")).to_be_visible()
    page.keyboard.press("Escape")
    expect(used.locator(".ago__exact")).not_to_be_visible()
    page.locator("summary", has_text="View").click()
    page.get_by_label("Show exact UTC").check()
    window.go("/accounts/1/users/")
    expect(page.get_by_label("Show exact UTC")).to_be_checked()
    page.get_by_label("Show exact UTC").uncheck()


def test_role_filter_and_search_work_together(visit: Visits) -> None:
    page = visit(ADMINISTRATOR).page
    page.get_by_label("Role").select_option(label="Purge and Prefetch only (API)")
    page.get_by_role("button", name="Apply").click()
    expect(row_of(page, "Automatic cache clearing")).to_be_visible()
    expect(row_of(page, "Uptime probe")).to_have_count(0)
    page.get_by_label("Search").fill("缓存预热")
    page.get_by_label("Search").press("Enter")
    expect(row_of(page, "缓存预热脚本")).to_be_visible()
    expect(row_of(page, "Automatic cache clearing")).to_have_count(0)


def test_pasted_token_is_searched_by_its_id_before_it_is_sent(visit: Visits) -> None:
    window = visit(ADMINISTRATOR)
    page = window.page
    page.get_by_label("Search").fill(f"Authorization: APIKey x_123456789${'0a' * 36} ")
    page.get_by_label("Search").press("Enter")
    expect(page.get_by_text("the secret of a token must not be in an address")).to_be_visible()
    expect(page.get_by_label("Search")).to_have_value("123456789")
    page.get_by_label("Search").fill("0a" * 36)
    page.get_by_label("Search").press("Enter")
    expect(page.get_by_text("a secret without the ID of its token")).to_be_visible()
    assert not [url for url in window.requests if "0a0a" in url]


def test_bar_of_the_day_under_the_pointer_stays_visible(visit: Visits) -> None:
    window = visit(ADMINISTRATOR)
    page = window.page
    window.go("/accounts/1/api-tokens/usage/")
    bar = page.locator(".chart__bar").last
    box = bar.bounding_box()
    assert box
    clip = {"x": box["x"] + box["width"] / 2, "y": box["y"] + 1, "width": 1, "height": 1}
    page.mouse.move(0, 0)
    before = page.screenshot(clip=clip)  # type: ignore[arg-type]  # a dictionary of these floats
    page.mouse.move(clip["x"], box["y"] + box["height"] / 2)
    expect(page.locator(".chart__day:hover")).to_have_count(1)
    assert page.screenshot(clip=clip) == before  # type: ignore[arg-type]  # as above


def test_arrow_keys_lead_through_the_days_of_a_chart(visit: Visits) -> None:
    window = visit(ADMINISTRATOR, java_script_enabled=False)
    page = window.page
    window.go("/accounts/1/api-tokens/usage/")
    days = page.get_by_role("radio")
    days.last.focus()
    tips = page.locator(".chart__tip")
    expect(tips.last).to_have_css("opacity", "1")
    page.keyboard.press("ArrowLeft")
    expect(days.nth(28)).to_be_focused()
    expect(tips.nth(28)).to_have_css("opacity", "1")
    expect(tips.last).to_have_css("opacity", "0")
    expect(days.nth(28)).to_have_accessible_name(re.compile(r"\d{4} .*uses?"))


def test_users_see_only_their_own_tokens_and_offer_only_their_own_role(visit: Visits) -> None:
    window = visit(USER)
    page = window.page
    window.go("/accounts/1/api-tokens/?status=all&page_size=100")
    expect(row_of(page, "Spreadsheet import")).to_be_visible()
    expect(row_of(page, "Terraform state backend")).to_have_count(0)
    open_form(page)
    assert page.get_by_role("radio", name="Users").count() == 1
    assert page.get_by_role("radio", name="Administrators").count() == 0


def test_expiring_tokens_put_an_exclamation_mark_on_the_section(visit: Visits) -> None:
    page = visit(ADMINISTRATOR).page
    entry = page.get_by_role("navigation").get_by_role("link", name="API tokens").first
    expect(entry).to_have_accessible_name(re.compile("expire in 7 days or less"))
    expect(row_of(page, "Uptime probe")).to_contain_text("Expires in")


def test_switching_the_account_shows_the_other_tokens(visit: Visits) -> None:
    page = visit(ADMINISTRATOR).page
    page.get_by_text("Example Inc.").first.click()
    page.get_by_role("link", name=re.compile("Globex")).click()
    expect(page).to_have_url(re.compile(r"/accounts/(?!1/)\d+/api-tokens/$"))
    expect(row_of(page, "Globex production")).to_have_count(0)  # there she is no Administrator
    expect(row_of(page, "Uptime probe")).to_have_count(0)


@both_ways
def test_two_tabs_keep_to_their_accounts(visit: Visits, scripts: bool) -> None:
    window = visit(ADMINISTRATOR, java_script_enabled=scripts)
    here, there = window.page, window.page.context.new_page()
    name = f"From the first tab, {'with' if scripts else 'without'} scripts"
    open_form(here)
    there.goto(here.url)
    there.get_by_text("Example Inc.").first.click()
    there.get_by_role("link", name=re.compile("Globex")).click()
    expect(there).to_have_url(re.compile(r"/accounts/(?!1/)\d+/api-tokens/$"))

    here.get_by_label("Token name").fill(name)
    here.get_by_label("30 days").check()
    here.get_by_role("button", name="Create", exact=True).click()
    here.get_by_role("link", name="OK, I've copied token").click()

    expect(row_of(here, name)).to_be_visible()
    in_a_month = datetime.now(BERLIN).date() + timedelta(days=30)
    expect(row_of(here, name)).to_contain_text(f"{in_a_month:%-d %b %Y}")
    expect(here).to_have_url(re.compile(r"/accounts/1/api-tokens/#token-\d+$"))
    there.reload()
    expect(there.get_by_role("heading", name="API tokens", level=1)).to_be_visible()
    expect(row_of(there, name)).to_have_count(0)


@both_ways
def test_signing_out_closes_the_door(visit: Visits, scripts: bool) -> None:
    window = visit(USER, java_script_enabled=scripts)
    page = window.page
    page.locator("summary", has_text="Your menu").click()
    page.get_by_role("button", name="Sign out").click()
    window.go("/accounts/1/api-tokens/")
    expect(page.get_by_role("heading", name="Sign in")).to_be_visible()


@both_ways
def test_my_profile_keeps_name_time_zone_and_language(visit: Visits, scripts: bool) -> None:
    window = visit("engineer@example.com", java_script_enabled=scripts)
    page = window.page
    window.go("/profile/")
    page.get_by_label("Time zone").select_option("Asia/Tokyo")
    page.get_by_label("Name", exact=True).fill("Jonas L.")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("Your profile was saved.")).to_be_visible()
    expect(page.get_by_label("Time zone")).to_have_value("Asia/Tokyo")
