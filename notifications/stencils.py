"""Small templates that are filled many times with other words.

A digest of twenty tokens spends most of its time in rendering the same twenty pieces of HTML. So
such a template is rendered once for each shape of its words (which of them are there) and each
language, with marks in place of the words; from then on the words are only put between the pieces.
That halves the time which a whole mail takes.
"""

import html
import re
from collections.abc import Callable, Sequence
from functools import lru_cache

from django.template.loader import render_to_string
from django.utils.safestring import SafeString
from django.utils.translation import get_language

Context = Callable[[Sequence[str]], dict[str, object]]
"""Makes a template's context of words. The words stay what they are, and "" means that one is not
there."""

MARK = re.compile("\ue000(\\d+)\ue001")


def fill(template: str, words: Sequence[str], context: Context) -> SafeString:
    """What the template says with these words. They are escaped in HTML, as everywhere."""
    shape = tuple(bool(word) for word in words)
    pieces, places = _stencil(template, context, shape, get_language())
    put = html.escape if template.endswith(".html") else str
    filled = [pieces[0]]
    for place, piece in zip(places, pieces[1:], strict=True):
        filled += (put(words[place]), piece)
    return SafeString("".join(filled))


@lru_cache(maxsize=128)
def _stencil(
    template: str, context: Context, shape: tuple[bool, ...], _language: str | None
) -> tuple[list[str], list[int]]:
    """The template's text between its words, and which word goes into each gap."""
    marks = [f"\ue000{place}\ue001" if there else "" for place, there in enumerate(shape)]
    rendered = render_to_string(template, context(marks))
    cut = MARK.split(without_indentation(rendered) if template.endswith(".html") else rendered)
    return cut[::2], [int(place) for place in cut[1::2]]


def without_indentation(text: str) -> str:
    """Some mail programs cut off what is longer than 100 kB: indentation must not count."""
    return re.sub(r"\n\s*", "\n", text)
