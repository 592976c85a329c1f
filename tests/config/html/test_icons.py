"""Icons are drawn once, in one file, and pages name only those that it has."""

import re
from pathlib import Path

from django.template import engines

DRAWN = set(re.findall(r'<symbol id="([\w-]+)"', Path("static/img/icons.svg").read_text()))
TEMPLATES = {path: path.read_text() for path in Path("templates").rglob("*.*")}
NAMES = re.compile(r'{% icon "([\w-]+)" %}|\b\w*icon="([\w-]+)"')


def test_icon_is_a_link_into_the_file_that_is_named_by_its_content() -> None:
    drawn = engines["django"].from_string('{% icon "bell" %}').render()
    assert re.search(r'<use href="/static/img/icons\.[0-9a-f]{12}\.svg#bell"/>', drawn)


def test_every_icon_that_a_page_names_is_drawn() -> None:
    named = {one or other for text in TEMPLATES.values() for one, other in NAMES.findall(text)}
    assert len(named) > 20
    assert named - DRAWN == set(), "Draw it in static/img/icons.svg."


def test_no_page_draws_an_icon_of_its_own() -> None:
    """But for the logo, which has the page's own colours."""
    drawing = [
        path.name for path, text in TEMPLATES.items() if re.search("<svg[^>]*>\\s*<[^u]", text)
    ]
    assert drawing == ["logo.svg"], "Draw it in static/img/icons.svg, and write {% icon %}."
