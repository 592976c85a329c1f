"""Parses HTML forms on pages of identity providers, as a browser would submit them."""

from typing import Any, NamedTuple

from lxml import html


class Form(NamedTuple):
    action: str
    """As in the HTML; empty for the page's own URL."""
    fields: dict[str, str]


def parse_form(page: str) -> Form:
    """The first form of a page."""
    form: Any = html.fromstring(page.encode()).forms[0]
    return Form(form.action or "", dict(form.form_values()))
