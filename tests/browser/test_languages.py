"""What stays English on a page in another language says so: else a screen reader reads it with the
sounds of the other one."""

import json
import re
from collections.abc import Iterator

import lxml.html
import pytest

from tests.browser.conftest import Visit, Visits
from tests.browser.every_page import EveryPage
from tests.every_page.places import ADMINISTRATOR, EMAILS, PASSWORD, STRANGER
from tests.every_page.states import STATES
from tests.portal import Portal

pytestmark = pytest.mark.browser

ENGLISH = re.compile(
    r"\b(an?|all|and|are|at|by|can|for|from|has|if|is|it|not|of|only|or|that|the|this|to|was|who|"
    r"with|you|your|Administrators|Engineers|Users)\b",
    re.IGNORECASE,
)
"""Words by which one knows the language; and the roles, which are called so in every one."""
READ_OUT = ("alt", "aria-label", "data-label", "placeholder", "title")
NO_LANGUAGE = ("code", "kbd", "pre", "script", "style", "textarea")
PLACES = "time_zone"
"""The field whose choices are names of places."""
TYPED = """
import json
from django.apps import apps
from django.db.models import CharField, TextField
found = set()
for model in apps.get_models():
    for field in model._meta.concrete_fields:
        if isinstance(field, (CharField, TextField)) and not field.choices:
            found |= set(model._base_manager.values_list(field.name, flat=True))
print(json.dumps([each for each in found if each and len(each) > 5]))
"""
"""All texts in the database: what people have written is in their language."""
SPEAK = "from accounts.models import User; User.objects.update(language={!r})"
Texts = dict[str, set[str]]


@pytest.fixture(scope="module")
def every_page(portal: Portal) -> EveryPage:
    return EveryPage(portal)


@pytest.fixture
def typed(portal: Portal, every_page: EveryPage) -> list[str]:
    """The longest first, in one line each, as pages have them."""
    texts = {" ".join(each.split()) for each in json.loads(portal.shell.run(TYPED))}
    return sorted(texts, key=len, reverse=True)


@pytest.mark.parametrize("who", [ADMINISTRATOR, STRANGER])
def test_english_on_pages_in_another_language_is_marked(
    visit: Visits, every_page: EveryPage, typed: list[str], who: str
) -> None:
    window = visit()
    if who != STRANGER:
        window.enter(EMAILS[who], PASSWORD)
    try:
        english, german = (_texts(window, every_page, who, language) for language in ("en", "de"))
    finally:
        window.portal.shell.run(SPEAK.format("en"))
    assert len(german) > 20
    found = {
        path: {each for each in texts & english[path] if ENGLISH.search(_without(typed, each))}
        for path, texts in german.items()
    }
    assert {path: texts for path, texts in found.items() if texts} == {}


def _texts(window: Visit, every_page: EveryPage, who: str, language: str) -> Texts:
    """What each page says in this language, without what says that it is English."""
    window.portal.shell.run(SPEAK.format(language))
    headers = {"Accept-Language": language}
    paths = [each.path for each in every_page.places if each.who == who]
    paths += [every_page.path_of(each) for each in STATES if each.who == who and not each.values]
    found = {}
    for path in paths:
        answer = window.page.context.request.get(window.portal.url + path, headers=headers)
        found[path] = set(_said_by(lxml.html.fromstring(answer.body())))
    return found


def _said_by(page: lxml.html.HtmlElement) -> Iterator[str]:
    for element in page.iter():
        if isinstance(element.tag, str) and not _is_marked(element):
            words = (element.text, *(each.tail for each in element))
            read_out = (element.get(name) for name in READ_OUT)
            yield from (" ".join(each.split()) for each in (*words, *read_out) if each)


def _is_marked(element: lxml.html.HtmlElement) -> bool:
    """Whether it says that it is English, or is in no language, or names places."""
    chain = [element, *element.iterancestors()]
    language = next((each.get("lang") for each in chain if each.get("lang")), "")
    return language.startswith("en") or any(
        each.tag in NO_LANGUAGE or each.get("translate") == "no" or each.get("name") == PLACES
        for each in chain
    )


def _without(typed: list[str], text: str) -> str:
    """The text without what people have written, which may be cut."""
    start = text.removesuffix("…")
    if start != text and any(each.startswith(start) for each in typed):
        return ""
    for each in typed:
        text = text.replace(each, "")
    return text
