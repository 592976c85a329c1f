"""Lets axe look at pages as different people see them."""

from collections.abc import Callable, Sequence
from typing import Literal

from playwright.sync_api import Page

Violations = Callable[[Page], list[str]]
Look = tuple[Literal["light", "dark"], int]

USUAL: list[Look] = [("light", 390), ("dark", 1440), ("light", 1440), ("dark", 390)]
BETWEEN: list[Look] = [("light", 1024), ("dark", 1920), ("light", 768)]
TURNS = [*USUAL[:2], *BETWEEN]
WIDTH = 1440
WIDTHS = (320, 390, 768, 1024, 1440, 1920)


DRAWN = """async () => {
    for (let frame = 0; frame < 5; frame++) await new Promise(requestAnimationFrame);
    await Promise.all(document.getAnimations().map(each => each.finished.catch(() => null)));
    await new Promise(done => setTimeout(done, 150));
}"""
"""Comes back when the page has been drawn anew, and colours stand still."""


class Looks:
    """Lets axe look at pages in light and dark, narrow and wide, and keeps what it finds.

    In the short form each page is seen once, in one of five looks by turns: what all pages share is
    seen in each. `but` names findings that are none of ours.
    """

    def __init__(self, violations: Violations, *, sees_all: bool) -> None:
        self.violations, self.sees_all = violations, sees_all
        self.found: dict[str, list[str]] = {}
        self.seen = 0

    def at(self, page: Page, name: str, *, but: str | None = None) -> None:
        for scheme, width in self._looks():
            page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
            page.set_viewport_size({"width": width, "height": 900})
            page.evaluate(DRAWN)
            found = [each for each in self.violations(page) if but is None or but not in each]
            if page.evaluate("document.documentElement.scrollWidth") > width:
                found.append("scrolls sideways")
            if found:
                self.found[f"{name}, {scheme}, {width} px"] = found
        page.set_viewport_size({"width": WIDTH, "height": 900})

    def _looks(self) -> list[Look]:
        self.seen += 1
        if self.sees_all:
            return [*USUAL, BETWEEN[self.seen % len(BETWEEN)]]
        return [TURNS[self.seen % len(TURNS)]]


EXCESS = "document.documentElement.scrollWidth - document.documentElement.clientWidth"


def too_wide(page: Page, widths: Sequence[int] = WIDTHS) -> dict[int, int]:
    """By how many pixels the page is wider than windows of these widths; nothing if it fits. What
    is too wide for less than a moment, while the window changes, nobody sees."""
    excess = {}
    for width in widths:
        page.set_viewport_size({"width": width, "height": 800})
        excess[width] = page.evaluate(EXCESS)
        if excess[width] > 0:
            page.evaluate(DRAWN)
            excess[width] = page.evaluate(EXCESS)
    return {width: pixels for width, pixels in excess.items() if pixels > 0}
