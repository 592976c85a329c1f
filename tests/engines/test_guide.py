"""The user guide in the other two engines, step by step: Firefox, and WebKit, which is Safari's.
(test_guide walks it in Chromium.)"""

import re
from collections.abc import Callable
from contextlib import AbstractContextManager
from datetime import datetime, timedelta

import pytest

from tests.browser.conftest import ADMINISTRATOR, PASSWORD, USER, Answer
from tests.browser.test_guide import BERLIN
from tests.conftest import give_up
from tests.engines import marionette, webdriver
from tests.engines.driver import Driver, Window, until
from tests.portal import Portal

pytestmark = [pytest.mark.browser, pytest.mark.long]

Engine = Callable[..., AbstractContextManager[Driver]]
TOKEN = re.compile(r"[1-9][0-9]*\$[0-9a-f]{72}")
ENTER = "\ue007"
"""The key, as WebDriver writes it."""
ACCENT, GREY = (11, 110, 87), (211, 217, 214)
PAINT = """
    const bar = document.querySelector(".meter");
    const button = document.querySelector(".button--primary");
    const icon = document.querySelector(".icon use");
    return {
        button: getComputedStyle(button).backgroundColor,
        page: getComputedStyle(document.documentElement).backgroundColor,
        meter: bar.getBoundingClientRect().height,
        icon: icon.getBoundingClientRect().width,
    };
"""


@pytest.fixture(params=["firefox", "webkit"])
def engine(request: pytest.FixtureRequest) -> Engine:
    """Opens a browser of this engine, if the machine has it."""
    if request.param == "firefox":
        if marionette.path() is None:
            give_up(marionette.MISSING)
        return marionette.firefox
    if not webdriver.is_webkit_here():
        give_up(webdriver.WEBKIT_MISSING)
    return webdriver.webkit


def test_a_person_creates_uses_finds_edits_rotates_and_deletes_a_token(
    portal: Portal, engine: Engine, call: Callable[[str], Answer]
) -> None:
    portal.shell.run("from django.core.cache import cache; cache.clear()")
    with engine() as driver:
        window = Window(driver)
        _sign_in(window, portal)
        assert _drawn(window) == {"button": "rgb(11, 110, 87)", "page": "rgb(246, 247, 246)"}
        _assert_bar_is_filled(window)
        token = _create(window, "Backup by another engine")
        assert call(token).status == 200
        assert call(token.replace("$", "_")).status == 200

        window.press("OK, I've copied token")
        window.wait_for("in use")
        listed = window.wait_for("Backup by another engine")
        assert token.split("$")[0] in listed
        assert token.split("$")[1] not in window.run("return document.documentElement.outerHTML")

        _edit(window)
        rotated = _rotate(window)
        assert rotated != token
        assert [call(each).status for each in (token, rotated)] == [200, 200]

        window.press("API tokens", starts=True)
        window.wait_for("in use")
        window.press("Actions for Backup by another engine", starts=True)
        window.press("Delete API token", starts=True)
        window.wait_for("Backup by another engine, edited")
        window.press("Delete API token")
        window.wait_for("was deleted")
        assert [call(each).body["code"] for each in (token, rotated)] == ["deleted", "deleted"]


def test_the_section_says_all_of_tokens_and_filters_find_them(
    portal: Portal, engine: Engine
) -> None:
    portal.shell.run("from django.core.cache import cache; cache.clear()")
    with engine() as driver:
        window = Window(driver)
        _sign_in(window, portal)
        assert re.search(r"\d tokens expire in 7 days or less", window.text())
        row = window.row("CI: build and deploy")
        for fact in ("Jonas Lindqvist", "Engineers", "Active", "ago"):
            assert fact in row
        assert re.search(r"\d{1,2} [A-Z][a-z]{2} \d{4}", row)  # when it expires
        assert "Expires in" in window.row("Uptime probe")

        _filter(window, "Status", "Deleted", shows="Laptop of Jonas", hides="Uptime probe")
        window.type("Issued by", f"theo{ENTER}")
        _expect_rows(window, shows="Migration of the old shop", hides="Laptop of Jonas")
        assert "The user has been deleted" in window.row("Migration of the old shop")
        window.go(f"{portal.url}/accounts/1/api-tokens/")
        _filter(
            window,
            "Role",
            "Purge and Prefetch only (API)",
            shows="Automatic cache clearing",
            hides="Uptime probe",
        )
        window.go(f"{portal.url}/accounts/1/api-tokens/")
        _filter(window, "Status", "Expired", shows="Old monitoring", hides="Uptime probe")


def test_date_of_expiration_is_chosen(portal: Portal, engine: Engine) -> None:
    portal.shell.run("from django.core.cache import cache; cache.clear()")
    with engine() as driver:
        window = Window(driver)
        _sign_in(window, portal)
        in_a_month = datetime.now(BERLIN).date() + timedelta(days=30)
        window.press("Create API token")
        window.type("Token name", "For a month")
        window.press("Set expiration date")
        window.press("30 days", starts=True)
        window.press("Create")
        window.wait_for("New API token created")
        window.press("OK, I've copied token")
        window.wait_for("“For a month” was created.")
        assert f"{in_a_month:%-d %b %Y}" in window.row("For a month")


def test_one_with_the_role_users_sees_and_deletes_only_own_tokens(
    portal: Portal, engine: Engine, call: Callable[[str], Answer]
) -> None:
    portal.shell.run("from django.core.cache import cache; cache.clear()")
    with engine() as driver:
        window = Window(driver)
        _sign_in(window, portal, USER)
        window.go(f"{portal.url}/accounts/1/api-tokens/?status=all&page_size=100")
        _expect_rows(window, shows="Spreadsheet import", hides="Terraform state backend")
        window.press("Create API token")
        window.wait_for("Token name")
        offered = window.run(
            "return [...document.querySelectorAll('[name=role]')].map((each) => each.value)"
        )
        assert offered == ["2"]
        window.type("Token name", "Of a user")
        window.press("Create")
        token = _shown(window, "New API token created")
        window.press("OK, I've copied token")
        window.wait_for("“Of a user” was created.")
        assert call(token).status == 200
        window.press("Actions for Of a user", starts=True)
        window.press("Delete API token", starts=True)
        window.wait_for("Of a user")
        window.press("Delete API token")
        window.wait_for("was deleted")
        assert call(token).body["code"] == "deleted"


def test_everything_works_without_scripts(
    portal: Portal, engine: Engine, call: Callable[[str], Answer]
) -> None:
    portal.shell.run("from django.core.cache import cache; cache.clear()")
    with engine(runs_scripts=False) as driver:
        window = Window(driver)
        _sign_in(window, portal)
        _filter(window, "Status", "Deleted", shows="Laptop of Jonas", hides="Uptime probe")
        assert "status=deleted" in window.run("return location.search")
        window.press("Create API token")
        window.type("Token name", "Without scripts")
        window.press("Never expire")
        window.press("Create")
        token = _shown(window, "New API token created")
        assert not window.run("return [...document.querySelectorAll('button[data-copy]')].some("
                              "(each) => each.getClientRects().length > 0)")  # fmt: skip
        assert call(token).status == 200
        window.press("OK, I've copied token")
        window.wait_for("“Without scripts” was created.")
        window.press("Actions for Without scripts", starts=True)
        window.press("Delete API token", starts=True)
        window.wait_for("Without scripts")
        window.press("Delete API token")
        window.wait_for("was deleted")
        assert call(token).body["code"] == "deleted"


def _filter(window: Window, label: str, option: str, *, shows: str, hides: str) -> None:
    """Choose what to see, and see it."""
    window.choose(label, option)
    window.press("Apply")
    _expect_rows(window, shows=shows, hides=hides)


def _expect_rows(window: Window, *, shows: str, hides: str) -> None:
    until(lambda: window.row(shows) and not window.row(hides), shows)


def _sign_in(window: Window, portal: Portal, email: str = ADMINISTRATOR) -> None:
    window.go(f"{portal.url}/sign-in/")
    window.type("Email", email)
    window.press("Continue")
    window.type("Password", PASSWORD)
    window.press("Sign in")
    window.wait_for("in use")


def _drawn(window: Window) -> dict[str, str]:
    """The colours of the page, when bar and icons are drawn."""
    seen: dict[str, str] = until(
        lambda: found if (found := window.run(PAINT))["icon"] > 5 else None, "the icons"
    )
    assert float(seen.pop("meter")) > 3
    seen.pop("icon")
    return seen


def _assert_bar_is_filled(window: Window) -> None:
    """The bar of what is in use has the accent as far as that, and is grey behind it. Its ends are
    round, so the colours between are looked at; where the two meet may fall into a pixel."""
    count = re.search(r"(\d+) of (\d+) in use", window.text())
    assert count is not None
    colours = window.colours_across(".meter")[5:-5]
    in_use = int(count[1]) / int(count[2])
    assert 0.2 < in_use < 0.8
    assert colours[0] == ACCENT
    assert colours[-1] == GREY
    assert len({*colours} - {ACCENT, GREY}) <= 3  # where it ends, it is round
    assert abs(colours.count(ACCENT) / len(colours) - in_use) < 0.05


def _create(window: Window, name: str) -> str:
    """Steps 1 to 9 of the guide; returns the token as the dialog shows it."""
    window.press("My profile")
    window.wait_for("Time zone")
    window.press("API tokens", starts=True)
    window.wait_for("in use")
    window.press("Create API token")
    window.type("Token name", name)
    window.type("Description", "Written by a person")
    window.press("Engineers")
    window.press("Never expire")
    window.press("Create")
    return _shown(window, "New API token created")


def _shown(window: Window, title: str) -> str:
    """The token that the dialog of this title shows."""
    shown = TOKEN.search(window.wait_for(title))
    assert shown is not None
    return shown[0]


def _edit(window: Window) -> None:
    """Give the token another name and a lower role, from the menu of its row."""
    window.press("Actions for Backup by another engine", starts=True)
    window.press("Edit")
    window.wait_for("A token can keep its role or get a lower one.")
    window.press("Users")
    window.replace("Token name", f"Backup by another engine, edited{ENTER}")
    window.wait_for("“Backup by another engine, edited” was saved.")


def _rotate(window: Window) -> str:
    """Rotate the token, and let the old secret work for a day; returns the new one."""
    window.press("Actions for Backup by another engine", starts=True)
    window.press("Rotate")
    window.wait_for("24 hours")
    window.press("Rotate")
    token = _shown(window, "API token rotated")
    window.press("OK, I've copied token")
    window.wait_for("was rotated.")
    return token
