"""Style sheets as browsers get them: one file for what every page needs, without comments."""

import re
from collections.abc import Callable

_IMPORT = re.compile(r'@import url\("([\w./-]+)"\);\n')
_COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)
_LINE_START = re.compile(r"\n\s+")
_PROPERTY = re.compile(r"^([\w-]+:) (?!;)", re.MULTILINE)
_OPENING, _LAST, _BREAK = re.compile(r" {\n"), re.compile(r";\n}"), re.compile(r"(?<=[;{}])\n")


def slim(text: str, read: Callable[[str], str]) -> str:
    """The style sheet with those that it imports in their places (`read` gives them by their
    names), and without comments and most white space, which are a fifth of it even compressed."""
    whole = _IMPORT.sub(lambda found: read(found[1]) + "\n", text)
    lines = _LINE_START.sub("\n", _COMMENT.sub("", whole)).strip()
    rules = _LAST.sub("}", _OPENING.sub("{", _PROPERTY.sub(r"\1", lines)))
    return _BREAK.sub("", rules) + "\n"
