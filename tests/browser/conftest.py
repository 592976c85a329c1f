"""A real browser at a real portal. What is found on a page is found by what a person sees."""

import json
import shutil
import sqlite3
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, BrowserContext, Page, expect, sync_playwright

from tests.browser.axe import Looks, Violations
from tests.portal import Portal, served_portal

# As root Chromium needs --no-sandbox; the rest keeps it from calling home.
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
PASSWORD = "permatoken-demo"
ADMINISTRATOR, ENGINEER, USER = "admin@example.com", "engineer@example.com", "user@example.com"

expect.set_options(timeout=30_000)
"""As long as Playwright waits for an action or a page: beside a whole run of the tests two pages in
a row have taken ten seconds. How quick pages are is measured elsewhere."""


@pytest.fixture(scope="session")
def portal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Portal]:
    with served_portal(tmp_path_factory.mktemp("portal")) as running:
        yield running


@pytest.fixture(scope="module", autouse=True)
def fresh_demo(portal: Portal) -> None:
    """Every module begins with the demo as it was, and no mail: which modules a worker has walked
    before makes no difference."""
    database, copy = (portal.data_dir / name for name in ("permatoken.sqlite3", "demo.sqlite3"))
    _copy_database(*((copy, database) if copy.exists() else (database, copy)))
    shutil.rmtree(portal.data_dir / "mail", ignore_errors=True)


def _copy_database(source: Path, target: Path) -> None:
    """Also into a database that others have open."""
    with closing(sqlite3.connect(source)) as here, closing(sqlite3.connect(target)) as there:
        here.backup(there)


@pytest.fixture(scope="package")  # while Playwright runs, Django refuses its database
def browser(chromium: str) -> Iterator[Browser]:
    with sync_playwright() as playwright:
        running = playwright.chromium.launch(executable_path=chromium, args=FLAGS)
        yield running
        running.close()


def sign_in_by_password(page: Page, email: str, password: str) -> None:
    """On the sign-in page, as far as the button."""
    page.get_by_label("Email").fill(email)
    page.get_by_role("button", name="Continue").click()
    page.get_by_label("Password", exact=True).fill(password)
    page.get_by_role("button", name="Sign in", exact=True).click()


class Visit(NamedTuple):
    """One person's browser window; `troubles` collects what the console complains about."""

    page: Page
    portal: Portal
    troubles: list[str]
    requests: list[str]

    def go(self, path: str) -> None:
        self.page.goto(self.portal.url + path)

    def sign_in(self, email: str) -> None:
        """Sign in, and open the list of tokens."""
        self.enter(email, PASSWORD)
        self.go("/")
        expect(self.page.get_by_role("heading", name="API tokens", level=1)).to_be_visible()

    def enter(self, email: str, password: str) -> None:
        """Sign in without drawing the pages, which test_signing_in walks: a session of its own."""
        context, url = self.page.context, f"{self.portal.url}/sign-in/"
        context.request.get(url)
        csrf = next(each["value"] for each in context.cookies() if each["name"].startswith("csrf-"))
        answer = context.request.post(
            url,
            form={"csrfmiddlewaretoken": csrf, "login": email, "password": password},
            max_redirects=0,
        )
        assert answer.status == 302, answer.text()


Visits = Callable[..., Visit]


@pytest.fixture
def visit(browser: Browser, portal: Portal) -> Iterator[Visits]:
    """Open windows: `visit(email)`, with Playwright's options for the window.

    The limits on signing in begin anew: what the tests before have spent is no test's business.
    """
    portal.shell.run("from django.core.cache import cache; cache.clear()")
    opened: list[BrowserContext] = []

    def open_window(email: str | None = None, **options: Any) -> Visit:
        options.setdefault("viewport", {"width": 1440, "height": 900})
        context = browser.new_context(**options)
        opened.append(context)
        page = context.new_page()
        window = Visit(page, portal, [], [])
        page.on("console", lambda message: _note(window.troubles, message.type, message.text))
        page.on("pageerror", lambda error: window.troubles.append(str(error)))
        page.on("request", lambda request: window.requests.append(request.url))
        if email:
            window.sign_in(email)
        return window

    yield open_window
    for context in opened:
        context.close()


def _note(troubles: list[str], kind: str, text: str) -> None:
    if kind in ("error", "warning"):
        troubles.append(text)


@pytest.fixture(scope="session")
def violations() -> Violations:
    """Ask axe about a page as it stands; every rule it has, in one line a finding."""
    axe = Axe()

    def ask(page: Page) -> list[str]:
        found = axe.run(page).response["violations"]
        return [
            f"{each['id']}: {each['help']} at {[node['target'] for node in each['nodes']][:3]}"
            for each in found
        ]

    return ask


@pytest.fixture(params=["in turn", pytest.param("all", marks=pytest.mark.long)])
def looks(request: pytest.FixtureRequest, violations: Violations) -> Looks:
    """Axe, which sees each page in one look by turns, or in the long form in several."""
    return Looks(violations, sees_all=request.param == "all")


class Answer(NamedTuple):
    status: int
    body: Any


@pytest.fixture
def call(portal: Portal) -> Callable[[str], Answer]:
    """Ask the API for the tokens of account 1 with this token, as curl would."""

    def ask(token: str) -> Answer:
        request = urllib.request.Request(
            f"{portal.url}/iam/clients/1/tokens", headers={"Authorization": f"APIKey {token}"}
        )
        try:
            with urllib.request.urlopen(request) as response:
                return Answer(response.status, json.load(response))
        except urllib.error.HTTPError as error:
            return Answer(error.code, json.load(error))

    return ask
