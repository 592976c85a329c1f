"""Everybody can use the pages: with a keyboard, on small screens and wide ones, in any colours.
(What holds of every page, test_every_page asks.)"""

from collections.abc import Callable

import pytest
from playwright.sync_api import expect

from tests.browser.axe import Looks
from tests.browser.conftest import ADMINISTRATOR, PASSWORD, Visit, Visits
from tests.browser.test_guide import row_of

pytestmark = pytest.mark.browser


def open_token(window: Visit, name: str) -> None:
    """Go to the page of the token whose name begins so, as people do: by the list."""
    window.go("/accounts/1/api-tokens/?q=" + name.split()[0])
    window.page.get_by_role("link", name=name).click()
    expect(window.page.get_by_role("heading", name="Usage in the last 30 days")).to_be_visible()


def test_axe_finds_nothing_in_menus_and_dialogs(visit: Visits, looks: Looks) -> None:
    window = visit(ADMINISTRATOR)
    page = window.page
    window.go("/accounts/1/api-tokens/")
    page.get_by_label("Actions for Uptime probe").click()
    looks.at(page, "menu")
    page.keyboard.press("Escape")
    page.get_by_label("Select Uptime probe").check()
    page.locator("summary", has_text="View").click()
    looks.at(page, "selection and view")
    page.keyboard.press("Escape")
    page.get_by_label("Actions for Uptime probe").click()
    row_of(page, "Uptime probe").get_by_role("link", name="Delete API token").click()
    expect(page.get_by_role("dialog")).to_be_visible()
    looks.at(page, "delete dialog")

    open_token(window, "Automatic cache clearing")
    page.get_by_text("Show numbers").click()
    looks.at(page, "numbers of a token")

    assert looks.found == {}


SCREENS = ((1440, 900), (1024, 768), (390, 844))
ROWS = """() => {
    const rows = [...document.querySelectorAll(".tokens tbody tr")].map(
        each => each.getBoundingClientRect()
    );
    return {
        first: Math.round(rows[0].top),
        tallest: Math.round(Math.max(...rows.map(each => each.height))),
        whole: rows.filter(each => each.bottom <= innerHeight).length,
    };
}"""


def test_first_screen_of_the_list_shows_many_tokens(
    visit: Visits, record_property: Callable[[str, object], None]
) -> None:
    page = visit(ADMINISTRATOR).page
    seen = {}
    for width, height in SCREENS:
        page.set_viewport_size({"width": width, "height": height})
        seen[width] = page.evaluate(ROWS)
    for width, height in SCREENS[:2]:
        number = seen[width]["whole"]
        record_property(f"whole tokens on the first screen of {width} × {height}", number)
    record_property("first token on a phone begins at, pixels", seen[390]["first"])
    assert seen[1440]["whole"] >= 10
    assert seen[1024]["whole"] >= 6
    assert seen[390]["first"] < 420
    page.goto(page.url + "?status=all&page_size=100")
    tallest = page.evaluate(ROWS)["tallest"]
    record_property("highest of all tokens on a phone, pixels", tallest)
    assert tallest <= 110


FORTY = """
from apitokens.models import APIToken
from accounts.random_ids import draw_id
from apitokens.tokens.services import number
from django.utils import timezone
token = APIToken.objects.active(timezone.now()).filter(
    account=1, last_used_at=None, issuer__user__email="admin@example.com"
).first() or APIToken.objects.active(timezone.now()).filter(account=1).first()
for count in range(40 - number(1, at=timezone.now())):
    token.pk, token.form_key, token.name = draw_id(), None, f"Of forty, no. {count}"
    token.last_used_at = None
    token.save(force_insert=True)
"""
LANGUAGES = ("en", "de", "ru", "az", "zh")


def test_first_screen_shows_as_many_of_forty_tokens_in_every_language(
    visit: Visits, record_property: Callable[[str, object], None]
) -> None:
    window = visit(ADMINISTRATOR)
    run, page = window.portal.shell.run, window.page
    run(FORTY)
    seen = {}
    for language in LANGUAGES:
        run(f"from accounts.models import User; User.objects.update(language={language!r})")
        page.reload()
        for width, height in ((1440, 900), (390, 844)):
            page.set_viewport_size({"width": width, "height": height})
            seen[language, width] = page.evaluate(ROWS)
    run(
        "from accounts.models import User; User.objects.update(language='en');"
        "from apitokens.models import APIToken;"
        "APIToken.objects.filter(name__startswith='Of forty').delete()"
    )
    fewest = min(rows["whole"] for (_language, width), rows in seen.items() if width == 1440)
    latest = max(rows["first"] for (_language, width), rows in seen.items() if width == 390)
    record_property("fewest of forty tokens on the first screen in any language", fewest)
    record_property("first of forty tokens on a phone in any language, pixels", latest)
    assert [at for at, rows in seen.items() if at[1] == 390 and rows["first"] >= 420] == []
    assert [at for at, rows in seen.items() if at[1] == 1440 and rows["whole"] < 10] == []


def test_rows_with_all_columns_stay_low_on_a_phone(
    visit: Visits, record_property: Callable[[str, object], None]
) -> None:
    window = visit(ADMINISTRATOR, viewport={"width": 390, "height": 844})
    page = window.page
    for column in ("created", "id", "description"):
        window.go("/accounts/1/api-tokens/?status=all&page_size=100")
        page.locator("summary", has_text="View").click()
        button = page.locator(f"button[name=show][value={column}]")
        if button.count():
            button.click()
    tallest = page.evaluate(ROWS)["tallest"]
    record_property("highest of all tokens on a phone with all columns, pixels", tallest)
    assert tallest <= 110


def test_menu_of_the_last_row_opens_upwards_and_escape_leads_back_to_the_row(
    visit: Visits,
) -> None:
    page = visit(ADMINISTRATOR, viewport={"width": 1440, "height": 844}).page
    name = page.locator(".tokens__name").last.inner_text()
    row = row_of(page, name)
    menu = row.locator(".menu")
    menu.scroll_into_view_if_needed()
    page.evaluate("window.scrollTo(0, scrollY)")
    menu.locator("summary").click()
    expect(menu).to_have_class("menu menu--up")
    box = menu.locator(".menu__panel").bounding_box()
    assert box
    assert box["y"] >= 0
    assert box["y"] + box["height"] <= 844
    row.get_by_role("link", name="Delete API token").click()
    expect(page.locator("dialog:modal")).to_be_visible()  # the script has run
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    expect(row_of(page, name)).to_be_focused()


@pytest.mark.parametrize("has_scripts", [True, False])
@pytest.mark.parametrize(
    ("page_of", "label", "choice", "most"),
    [
        ("api-tokens/", "Role", "Users", 440),
        ("users/", "Role", "Users", 560),
        ("audit-log/", "Event", "API token created", 560),
    ],
)
def test_filters_of_a_phone_are_behind_one_button_that_says_how_many_are_set(
    visit: Visits, page_of: str, label: str, choice: str, most: int, has_scripts: bool
) -> None:
    window = visit(viewport={"width": 390, "height": 844}, java_script_enabled=has_scripts)
    page = window.page
    window.enter(ADMINISTRATOR, PASSWORD)
    window.go(f"/accounts/1/{page_of}")
    first = page.locator("tbody tr").first.bounding_box()
    assert first
    assert first["y"] < most
    filters, field = page.get_by_role("search"), page.get_by_label(label, exact=True)
    button = filters.get_by_role("checkbox", name="Filters")
    expect(field).to_be_hidden()
    button.focus()
    page.keyboard.press("Space")
    field.select_option(label=choice)
    filters.get_by_role("button", name="Apply").click()
    expect(filters.get_by_role("checkbox", name="Filters 1 set")).not_to_be_checked()
    expect(field).to_be_hidden()
    page.set_viewport_size({"width": 1024, "height": 768})
    expect(field).to_be_visible()


def test_table_is_one_down_to_900_pixels_and_uses_wide_screens(visit: Visits) -> None:
    page = visit(ADMINISTRATOR).page
    heading = page.get_by_role("columnheader", name="Token name")
    for width, is_table in ((1920, True), (900, True), (899, False)):
        page.set_viewport_size({"width": width, "height": 900})
        box = heading.bounding_box()
        assert (box is not None and box["width"] > 100) is is_table, width
    page.set_viewport_size({"width": 1920, "height": 900})
    table = page.get_by_role("table").bounding_box()
    assert table is not None
    assert table["width"] > 1500


OF_A_SERVICE_ACCOUNT = """
from django.utils import timezone
from accounts.authorization.actor import Actor
from accounts.models import Membership
from tests.factories import issue, service_account
at, by = timezone.now(), Membership.objects.get(account_id=1, user__email="admin@example.com")
made = service_account(by.account, name="Nightly jobs", contact=by, at=at)
issue(made.membership, by=Actor.member(by), name="Of the nightly jobs", at=at)
"""
OVER_THE_EDGE = """() => {
    const end = (each) => each.getBoundingClientRect().right;
    return [...document.querySelectorAll(".tokens td .badge")].filter(
        each => end(each) > end(each.closest("td")) - 4
    ).map(each => each.innerText);
}"""


def test_badges_of_the_table_stay_in_their_cells(visit: Visits) -> None:
    window = visit(ADMINISTRATOR)
    window.portal.shell.run(OF_A_SERVICE_ACCOUNT)
    window.go("/accounts/1/api-tokens/?status=all&page_size=100")
    expect(row_of(window.page, "Of the nightly jobs")).to_contain_text("Service account")
    for width in (900, 1000, 1024, 1100, 1200, 1440):
        window.page.set_viewport_size({"width": width, "height": 900})
        assert window.page.evaluate(OVER_THE_EDGE) == [], width


def test_choice_of_the_issuer_stands_apart_from_the_form(visit: Visits) -> None:
    window = visit(ADMINISTRATOR)
    window.portal.shell.run(OF_A_SERVICE_ACCOUNT.replace("Nightly jobs", "Another"))
    window.go("/accounts/1/api-tokens/create/")
    choice = window.page.get_by_role("navigation", name="Issued by").bounding_box()
    card = window.page.locator("form .card").first.bounding_box()
    assert choice
    assert card
    assert card["y"] - choice["y"] - choice["height"] >= 12


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
    page.wait_for_load_state()  # the dialog is shown before the scripts run
    for _ in range(12):  # the focus stays inside the dialog
        page.keyboard.press("Tab")
        inside = (
            "document.activeElement.closest('dialog') || document.activeElement === document.body"
        )
        assert page.evaluate(f"Boolean({inside})")
    dialog.get_by_role("link", name="OK, I've copied token").focus()
    page.keyboard.press("Enter")
    expect(dialog).not_to_be_visible()
    page.wait_for_load_state()

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
    expect(page.locator(".messages")).to_be_focused()  # so that readers say it
    assert window.troubles == []


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


def test_colours_are_the_systems_or_those_that_the_page_names(visit: Visits) -> None:
    window = visit(color_scheme="dark")
    window.go("/sign-in/")
    background = "getComputedStyle(document.documentElement).backgroundColor"
    light, dark = "rgb(246, 247, 246)", "rgb(13, 17, 16)"
    assert window.page.evaluate(background) == dark
    for theme, colour in {"light": light, "dark": dark, "system": dark}.items():
        window.page.evaluate(f"document.documentElement.dataset.theme = '{theme}'")
        assert window.page.evaluate(background) == colour
    window.page.emulate_media(color_scheme="light")
    assert window.page.evaluate(background) == light
