"""Lets axe look at pages as different people see them."""

from collections.abc import Callable

from playwright.sync_api import Page

Violations = Callable[[Page], list[str]]

LOOKS = [(scheme, width) for scheme in ("light", "dark") for width in (390, 1440)]


DRAWN = """async () => {
    for (let frame = 0; frame < 5; frame++) await new Promise(requestAnimationFrame);
    await Promise.all(document.getAnimations().map(each => each.finished.catch(() => null)));
    await new Promise(done => setTimeout(done, 150));
}"""
"""Comes back when the page has been drawn anew, and colours stand still."""


class Looks:
    """Lets axe look at a page in light and dark, narrow and wide, and keeps what it finds."""

    def __init__(self, violations: Violations) -> None:
        self.violations = violations
        self.found: dict[str, list[str]] = {}

    def at(self, page: Page, name: str) -> None:
        for scheme, width in LOOKS:
            page.emulate_media(color_scheme=scheme, reduced_motion="reduce")  # type: ignore[arg-type]
            page.set_viewport_size({"width": width, "height": 900})
            page.evaluate(DRAWN)
            found = self.violations(page)
            if page.evaluate("document.documentElement.scrollWidth") > width:
                found.append("scrolls sideways")
            if found:
                self.found[f"{name}, {scheme}, {width} px"] = found
        page.set_viewport_size({"width": 1440, "height": 900})
