"""A window of any browser that speaks WebDriver (W3C), over HTTP or over Firefox's own Marionette.

Pages are read as people see them: things are found by the words on them, and clicked by the browser
itself.
"""

import base64
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from tests.engines.pictures import Colour, row_of

SECONDS = 15
"""How long something may take to appear."""
ELEMENT = "element-6066-11e4-a52e-4f735466cecf"
SEEN = """
    const isSeen = (each) => each.getClientRects().length > 0
        && getComputedStyle(each).visibility !== "hidden";
    const words = (each) => (each.getAttribute("aria-label")
        || each.innerText || each.value || "").replace(/\\s+/g, " ").trim();
"""
FIND_BUTTON = (
    SEEN
    + """
    const scope = document.querySelector("dialog:modal, dialog[open]") || document;
    const found = [...scope.querySelectorAll("a, button, summary, label, input[type=submit]")].find(
        (each) => isSeen(each) && (arguments[1] ? words(each).startsWith(arguments[0])
            : words(each) === arguments[0]));
    found?.scrollIntoView({ block: "center", behavior: "instant" });
    return found ?? null;
"""
)
FIND_FIELD = (
    SEEN
    + """
    const label = [...document.querySelectorAll("label")].find(
        (each) => isSeen(each) && words(each).replace(/ \\(optional\\)$/, "") === arguments[0]);
    return label ? label.control : null;
"""
)
FIND_OPTION = (
    SEEN
    + """
    const label = [...document.querySelectorAll("label")].find(
        (each) => isSeen(each) && words(each) === arguments[0]);
    return [...(label?.control?.options ?? [])].find(
        (each) => each.label.trim() === arguments[1]) ?? null;
"""
)
FIND_ROW = """
    const row = [...document.querySelectorAll("[role=row]")].find(
        (each) => each.innerText.includes(arguments[0]));
    return row ? row.innerText.replace(/\\s+/g, " ") : "";
"""


PLACE = """
    const box = document.querySelector(arguments[0]).getBoundingClientRect();
    return [box.x, box.y, box.width, box.height].map((each) => each * devicePixelRatio);
"""


class Refused(Exception):
    """The browser answered a command with an error."""


class Driver(Protocol):
    """Sends one command of WebDriver, by its name."""

    def call(self, command: str, **facts: Any) -> Any: ...


class Window:
    """One window, and what a person does in it."""

    def __init__(self, driver: Driver) -> None:
        self.driver = driver

    def go(self, url: str) -> None:
        self.driver.call("Navigate", url=url)

    def run(self, script: str, *args: Any) -> Any:
        return self.driver.call("ExecuteScript", script=script, args=list(args))

    def press(self, words: str, *, starts: bool = False) -> None:
        """Click what has these words on it, or begins with them: a link, a button, a choice."""
        self._act(lambda: self.run(FIND_BUTTON, words, starts), "ElementClick", words)

    def type(self, label: str, text: str) -> None:
        """Write into the field with this label."""
        self._act(lambda: self.run(FIND_FIELD, label), "ElementSendKeys", label, text=text)

    def choose(self, label: str, option: str) -> None:
        """Choose an option of the select with this label."""
        self._act(lambda: self.run(FIND_OPTION, label, option), "ElementClick", option)

    def row(self, words: str) -> str:
        """All words of the first row of a table that has these; "" if there is none."""
        return str(self.run(FIND_ROW, words))

    def replace(self, label: str, text: str) -> None:
        """Write this in the place of what stands in the field with this label."""
        self._act(lambda: self.run(FIND_FIELD, label), "ElementClear", label)
        self.type(label, text)

    def text(self) -> str:
        """What stands on the page, in front of all else if there is a dialog."""
        found = "(document.querySelector('dialog[open]') || document.body).innerText"
        return str(self.run(f"return {found}"))

    def wait_for(self, words: str) -> str:
        """Wait until these words are on the page; returns all its words."""
        return str(until(lambda: self._text_with(words), words))

    def _text_with(self, words: str) -> str:
        return text if words in (text := self.text()) else ""

    def shot(self, path: Path) -> None:
        """Keep a picture of what is seen."""
        path.write_bytes(base64.b64decode(self.driver.call("TakeScreenshot")))

    def colours_across(self, selector: str) -> list[Colour]:
        """The colours of an element on the first screen, from left to right, halfway down.

        Read from a picture of the whole window: WebKit's pictures of elements are black.
        """
        left, top, width, height = self.run(PLACE, selector)
        row = row_of(base64.b64decode(self.driver.call("TakeScreenshot")), int(top + height / 2))
        return row[round(left) : round(left + width)]

    def _act(self, find: Callable[[], Any], command: str, words: str, **facts: Any) -> None:
        def act() -> bool:
            element = find()
            if element is None:
                return False
            self.driver.call(command, id=element[ELEMENT], **facts)
            return True

        until(act, words)


def until(question: Callable[[], Any], what: str) -> Any:
    """Ask until there is an answer. While a page goes and the next one comes, browsers refuse."""
    deadline, refusal = time.monotonic() + SECONDS, ""
    while time.monotonic() < deadline:
        try:
            if answer := question():
                return answer
        except Refused as refused:
            refusal = str(refused)
        time.sleep(0.1)
    raise AssertionError(f"“{what}” did not appear. {refusal}")
