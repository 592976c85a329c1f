"""Holds a walk against the steps that a document prints."""

import re
from pathlib import Path

from playwright.sync_api import Page

from tests.browser.axe import Looks

DOCS = Path(__file__).resolve().parents[2] / "docs"
STEPS = "## In the portal\n"


class Walk:
    """A walk by the steps of a document: each label that they print was seen on some page.

    Axe looks, too, where the browser has scripts.
    """

    def __init__(self, document: str, looks: Looks, *, scripts: bool) -> None:
        steps = (DOCS / document).read_text().split(STEPS)[1].split("\n## ")[0]
        labels = re.findall(r"\*([^*]+)\*", " ".join(steps.split()))
        self.unseen = {part.strip() for each in labels for part in each.split("→")}
        self.looks, self.scripts = looks, scripts

    def at(self, page: Page, name: str) -> None:
        text = page.inner_text("body")
        self.unseen = {label for label in self.unseen if label not in text}
        if self.scripts:
            self.looks.at(page, name)

    def end(self) -> None:
        assert self.unseen == set()
        assert self.looks.found == {}
