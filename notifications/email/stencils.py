"""Templates that are filled many times with other words.

A digest of twenty tokens spends most of its time in rendering the same twenty pieces of HTML, and
ten thousand digests differ in little else. So such a template is rendered once for each language,
the facts that it decides by, and each shape of its words (which of them are there), with marks in
place of the words; from then on the words are only put between the pieces. That is a third of what
a whole mail costs otherwise.
"""

import html
import re
from collections.abc import Callable, Hashable, Sequence
from functools import lru_cache
from typing import NamedTuple

from django.template.loader import render_to_string
from django.utils.safestring import SafeString

Context = Callable[..., dict[str, object]]
"""Makes a template's context of words, and of facts that the template decides by. The words stay
what they are, and "" means that one is not there."""


class _Stencil(NamedTuple):
    """A template's text as a format, and which word goes into each of its gaps."""

    format: str
    places: list[int]

    def fill(self, words: Sequence[str]) -> SafeString:
        return SafeString(self.format % tuple([words[place] for place in self.places]))


MARKUP = re.compile("[&<>\"']")
MARK = re.compile("\ue000(\\d+)\ue001")
INDENTED = re.compile(r"\n\s*")
STARTS_LINE = re.compile(r" (?=<(?:meta|title|style|body|table|tr|h1|h2|p)\b)")


class Parts(NamedTuple):
    """The same words in plain text and in HTML."""

    text: SafeString
    html: SafeString


def fill_both(
    template: str,
    words: Sequence[str],
    context: Context,
    language: str | None,
    facts: tuple[Hashable, ...] = (),
) -> Parts:
    """What `template.txt` and `template.html` say with these words and facts, in the active
    language. In HTML the words are escaped, as everywhere, but for those that are HTML."""
    shape = tuple(map(bool, words))
    text, page = _stencils(template, context, facts, shape, language)
    return Parts(text.fill(words), page.fill(_escaped(words)))


def _escaped(words: Sequence[str]) -> Sequence[str]:
    if not MARKUP.search("".join(words)):
        return words
    return [word if isinstance(word, SafeString) else html.escape(word) for word in words]


@lru_cache(maxsize=1024)
def _stencils(
    template: str,
    context: Context,
    facts: tuple[Hashable, ...],
    shape: tuple[bool, ...],
    _language: str | None,
) -> tuple[_Stencil, _Stencil]:
    """Of the plain text and of the HTML."""
    marks = [f"\ue000{place}\ue001" if there else "" for place, there in enumerate(shape)]
    said = context(marks, *facts)
    text, page = (render_to_string(f"{template}.{end}", said) for end in ("txt", "html"))
    return _cut(text), _cut(on_few_lines(page))


def _cut(rendered: str) -> _Stencil:
    places = [int(place) for place in MARK.findall(rendered)]
    return _Stencil(MARK.sub("%s", rendered.replace("%", "%%")), places)


def on_few_lines(page: str) -> str:
    """HTML without its indentation, and with a line for a row of a table, a paragraph or the like.

    Mail programs cut off what is longer than 100 kB, and everybody on the way looks at each line of
    a mail: ours has 5 times as many when it is laid out as its templates are.
    """
    return STARTS_LINE.sub("\n", INDENTED.sub(" ", page))
