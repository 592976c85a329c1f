"""Forms on the pages of identity providers, as a browser without a person would send them."""

from typing import Any, NamedTuple

from lxml import html


class Form(NamedTuple):
    address: str
    """As it stands on the page; empty: the page's own."""
    fields: dict[str, str]


def form_of(page: str) -> Form:
    """The first form of a page."""
    form: Any = html.fromstring(page.encode()).forms[0]
    return Form(form.action or "", dict(form.form_values()))
