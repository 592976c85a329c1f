"""Templates that are filled many times with other words.

A digest of twenty tokens spends most of its time in rendering the same twenty pieces of HTML, and
ten thousand digests differ in little else. So such a template is rendered once for each language
and each shape of its words (which of them are there), with marks in place of the words; from then
on the words are only put between the pieces. That is a third of what a whole mail costs otherwise.
"""

import html
import re
from collections.abc import Callable, Hashable, Sequence
from functools import lru_cache
from typing import NamedTuple

from django.template.loader import render_to_string
from django.utils.safestring import SafeString
from django.utils.translation import get_language

Context = Callable[..., dict[str, object]]
"""Makes a template's context of words, and of facts that the template decides by. The words stay
what they are, and "" means that one is not there."""

_Stencil = tuple[list[str], list[int]]

MARK = re.compile("\ue000(\\d+)\ue001")
INDENTED = re.compile(r"\n\s*")
STARTS_LINE = re.compile(r" (?=<(?:meta|title|style|body|table|tr|h1|h2|p)\b)")


class Parts(NamedTuple):
    """The same words in plain text and in HTML."""

    text: SafeString
    html: SafeString


def fill_both(
    template: str, words: Sequence[str], context: Context, facts: tuple[Hashable, ...] = ()
) -> Parts:
    """What `template.txt` and `template.html` say with these words and facts. In HTML the words are
    escaped, as everywhere, but for those that are HTML."""
    shape, language = tuple(map(bool, words)), get_language()
    text = _stencil(f"{template}.txt", context, facts, shape, language)
    page = _stencil(f"{template}.html", context, facts, shape, language)
    return Parts(_fill(text, words), _fill(page, [_escaped(word) for word in words]))


def _fill(stencil: _Stencil, words: Sequence[str]) -> SafeString:
    pieces, places = stencil
    filled = [pieces[0]]
    for place, piece in zip(places, pieces[1:], strict=True):
        filled += (words[place], piece)
    return SafeString("".join(filled))


def _escaped(word: str) -> str:
    return word if isinstance(word, SafeString) else html.escape(word)


@lru_cache(maxsize=512)
def _stencil(
    template: str,
    context: Context,
    facts: tuple[Hashable, ...],
    shape: tuple[bool, ...],
    _language: str | None,
) -> _Stencil:
    """The template's text between its words, and which word goes into each gap."""
    marks = [f"\ue000{place}\ue001" if there else "" for place, there in enumerate(shape)]
    rendered = render_to_string(template, context(marks, *facts))
    cut = MARK.split(on_few_lines(rendered) if template.endswith(".html") else rendered)
    return cut[::2], [int(place) for place in cut[1::2]]


def on_few_lines(page: str) -> str:
    """HTML without its indentation, and with a line for a row of a table, a paragraph or the like.

    Mail programs cut off what is longer than 100 kB, and everybody on the way looks at each line of
    a mail: ours has 5 times as many when it is laid out as its templates are.
    """
    return STARTS_LINE.sub("\n", INDENTED.sub(" ", page))
