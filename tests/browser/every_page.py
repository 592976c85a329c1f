"""Leads through every page that a person sees, and every state of it."""

import json
from collections.abc import Iterator
from time import monotonic
from typing import Any

from django.conf import settings
from playwright.sync_api import Page

from tests.browser.conftest import Visit
from tests.every_page.places import EMAILS, GUARDED, HALF, PASSWORD, STRANGER, Place
from tests.every_page.states import STATES, State
from tests.portal import Portal

PREPARE = "from tests.every_page import places; places.prepare()"
FILL_IN_AND_SEND = """(values) => {
    const isOwn = (each) => each.method === "post"
        && new URL(each.getAttribute("action") || "", location).pathname === location.pathname;
    const form = [...document.forms].find(
        (each) => isOwn(each) && Object.keys(values).every((name) => each.elements[name])
    );
    if (!form) throw new Error("No form has these fields.");
    for (const [name, value] of Object.entries(values)) {
        const fields = [...form.querySelectorAll(`[name="${name}"]`)];
        const fitting = fields.find((each) => each.value === value) ?? fields[0];
        if (fitting.type === "radio") fitting.checked = true;
        if (fitting.tagName === "SELECT") fitting.add(new Option(value, value));
        if (fitting.type !== "radio" || fitting.value !== value) fitting.value = value;
    }
    HTMLFormElement.prototype.submit.call(form);
}"""
"""As a browser sends it that checks nothing, and runs no script."""


class EveryPage:
    """The pages of a served portal with the demo, which is given one of everything."""

    def __init__(self, portal: Portal) -> None:
        places, self.facts = json.loads(portal.shell.run(PREPARE))
        self.places = [Place(*each) for each in places]
        self._confirmed_at: float | None = None
        self.surprises: dict[str, int | str] = {}
        """What answered with another status than it should, or does not say what it should."""
        self._paths = {each.name: each.path for each in self.places}
        self._hiding = {self._paths["account_reset_password_from_key"]}
        """Leads on to an address without the secret."""

    def of(self, who: str, window: Visit, *, part: int = 0, parts: int = 1) -> Iterator[str]:
        """Go from page to page as this person. At each of them, how it is called. A part of the
        pages has each so many of them."""
        self._sign_in(who, window)
        for place in [each for each in self.places if each.who == who][part::parts]:
            self._keep_confirmed(window)
            self._note(place.name, place.status, self._go(window, place.path))
            yield place.name
        for state in [each for each in STATES if each.who == who][part::parts]:
            self._keep_confirmed(window)
            self._show(window, state)
            yield state.name

    def _keep_confirmed(self, window: Visit) -> None:
        """On a slow machine the walk takes longer than the portal believes a password."""
        believed = settings.ACCOUNT_REAUTHENTICATION_TIMEOUT
        if self._confirmed_at and monotonic() - self._confirmed_at > believed / 2:
            self._confirm(window)

    def _sign_in(self, who: str, window: Visit) -> None:
        self._confirmed_at = None
        if who == STRANGER:
            return
        window.enter(EMAILS[who], PASSWORD)
        if who == GUARDED:
            window.go("/sign-in/second-factor/")
            assert _send(window.page, {"code": self.facts["codes"].pop()}) == 200
        elif who != HALF:
            self._confirm(window)

    def _confirm(self, window: Visit) -> None:
        """Some pages ask for the password if it was not given of late."""
        window.go("/sign-in/again/")
        _send(window.page, {"password": PASSWORD})
        self._confirmed_at = monotonic()

    def _go(self, window: Visit, path: str) -> int:
        answer = window.page.goto(window.portal.url + path)
        assert answer is not None
        assert answer.request.redirected_from is None or path in self._hiding, path
        return answer.status

    def path_of(self, state: State) -> str:
        """Where the page is that has this state."""
        path = state.path.format(**self.facts)
        if path[:1] == "@":
            return self._paths[path[1:]]
        return path if path[:1] == "/" else f"/accounts/{self.facts['account']}/{path}"

    def _show(self, window: Visit, state: State) -> None:
        status = self._go(window, self.path_of(state))
        for values in state.values:
            status = _send(window.page, values)
        if state.again:
            answer = window.page.reload()
            assert answer is not None
            status = answer.status
        self._note(state.name, state.status, status)
        if state.says not in window.page.locator("main").inner_text():
            self.surprises[state.name] = state.says

    def _note(self, name: str, wanted: int, status: int) -> None:
        if status != wanted:
            self.surprises[name] = status


def _send(page: Page, values: dict[str, Any]) -> int:
    """Fill these into the form that has them, and send it; returns the status of the answer."""
    with page.expect_navigation() as navigation:
        page.evaluate(FILL_IN_AND_SEND, values)
    return navigation.value.status
