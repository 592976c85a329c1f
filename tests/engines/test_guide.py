"""The user guide in the other two engines, step by step: Firefox, and WebKit, which is Safari's.
(test_guide walks it in Chromium.)"""

import re
from collections.abc import Callable
from contextlib import AbstractContextManager

import pytest

from tests.browser.conftest import ADMINISTRATOR, PASSWORD, Answer
from tests.conftest import give_up
from tests.engines import marionette, webdriver
from tests.engines.driver import Driver, Window, until
from tests.portal import Portal

pytestmark = [pytest.mark.browser, pytest.mark.long]

Engine = Callable[[], AbstractContextManager[Driver]]
TOKEN = re.compile(r"[1-9][0-9]*\$[0-9a-f]{72}")
ENTER = "\ue007"
"""The key, as WebDriver writes it."""
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


def _sign_in(window: Window, portal: Portal) -> None:
    window.go(f"{portal.url}/sign-in/")
    window.type("Email", ADMINISTRATOR)
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
    shown = TOKEN.search(window.wait_for("New API token created"))
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
    shown = TOKEN.search(window.wait_for("API token rotated"))
    assert shown is not None
    window.press("OK, I've copied token")
    window.wait_for("was rotated.")
    return shown[0]
