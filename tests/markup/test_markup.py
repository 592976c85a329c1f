"""Every page and every mail is valid HTML, and mails fit a small phone."""

import re
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Response

from tests import npm
from tests.browser.conftest import ADMINISTRATOR, PASSWORD, USER, Visit, Visits
from tests.browser.every_page import EveryPage
from tests.conftest import give_up
from tests.every_page.places import ADMINISTRATOR as MEMBER
from tests.every_page.places import PEOPLE
from tests.markup import nu
from tests.portal import Portal

pytestmark = [pytest.mark.browser, pytest.mark.long]

OTHER_LANGUAGES = ("de", "zh")
"""One whose words are long, and one without spaces; with names, sentences and forms of plurals of
their own, as all the others."""
PAGES_OF_FAULTS = """
from types import SimpleNamespace
from django.template.loader import render_to_string
outage = SimpleNamespace(title="The database does not answer", text="Try again.")
for name in ("500", "503", "503_database", "429", "413", "403_csrf", "400"):
    page = render_to_string(f"{name}.html", {"outage": outage})
    open(f"{folder}/{name}.html", "w").write(page)
"""


@pytest.fixture(autouse=True)
def checker() -> None:
    try:
        nu.install()
    except npm.Unavailable as reason:
        give_up(str(reason))


@pytest.fixture(scope="module")
def every_page(portal: Portal) -> EveryPage:
    return EveryPage(portal)


@pytest.fixture(scope="module")
def mails(portal: Portal, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    folder = tmp_path_factory.mktemp("mails")
    portal.shell.run(f"from tests.markup import mails; mails.write({str(folder)!r})")
    return sorted(folder.iterdir())


class Pages:
    """Keeps the documents that a browser gets, as they came."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.files = folder, list[Path]()
        self.newest: Response | None = None

    def listen(self, window: Visit) -> None:
        window.page.on("response", self._answered)

    def keep(self, name: str) -> None:
        assert self.newest is not None
        self.write(name, self.newest.text())

    def write(self, name: str, text: str) -> None:
        self.files.append(self.folder / f"{re.sub('[^a-z0-9]+', '-', name.lower())}.html")
        assert not self.files[-1].exists(), name
        self.files[-1].write_text(text)

    def _answered(self, answer: Response) -> None:
        if answer.request.is_navigation_request() and not 300 <= answer.status < 400:
            self.newest = answer


@pytest.mark.parametrize("who", PEOPLE)
def test_every_page_in_every_state_is_valid_html(
    visit: Visits, every_page: EveryPage, tmp_path: Path, who: str
) -> None:
    window, pages = visit(), Pages(tmp_path)
    pages.listen(window)
    for name in every_page.of(who, window):
        pages.keep(name)
    assert len(pages.files) > 1
    assert nu.errors(pages.files) == {}


def test_pages_of_members_are_valid_html_in_other_languages_and_for_other_roles(
    visit: Visits, every_page: EveryPage, portal: Portal, tmp_path: Path
) -> None:
    pages = Pages(tmp_path)
    for language, email in (*((each, ADMINISTRATOR) for each in OTHER_LANGUAGES), ("en", USER)):
        portal.shell.run(
            "from accounts.models import User;"
            f"User.objects.filter(email={email!r}).update(language={language!r})"
        )
        window = visit()
        window.enter(email, PASSWORD)
        for place in every_page.places:
            if place.who == MEMBER:
                answer = window.page.context.request.get(portal.url + place.path)
                pages.write(f"{place.name} {language}", answer.text())
    portal.shell.run("from accounts.models import User; User.objects.update(language='en')")
    assert nu.errors(pages.files) == {}


def test_pages_of_faults_are_valid_html(portal: Portal, tmp_path: Path) -> None:
    portal.shell.run(f"folder = {str(tmp_path)!r}\n{PAGES_OF_FAULTS}")
    assert nu.errors(sorted(tmp_path.iterdir())) == {}


def test_every_mail_is_valid_html(mails: list[Path]) -> None:
    assert nu.errors(mails) == {}


def test_no_mail_is_wider_than_a_small_phone(mails: list[Path], browser: Browser) -> None:
    page = browser.new_page(viewport={"width": 360, "height": 800})
    widths = {}
    for mail in mails:
        page.set_content(mail.read_text())
        widths[mail.name] = page.evaluate("document.documentElement.scrollWidth")
    page.close()
    assert {name: width for name, width in widths.items() if width > 360} == {}
