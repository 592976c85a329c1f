"""Style sheets as browsers get them: one file for what every page needs, without comments."""

import re
from collections.abc import Callable

_IMPORT = re.compile(r'@import url\("([\w./-]+)"\);\n')
_COMMENT = re.compile(r"/\*.*?\*/", re.DOTALL)
_LINE_START = re.compile(r"\n\s+")


def slim(text: str, read: Callable[[str], str]) -> str:
    """The style sheet with those that it imports in their places (`read` gives them by their
    names), and without comments and indentation, which are a fifth of it even compressed."""
    whole = _IMPORT.sub(lambda found: read(found[1]) + "\n", text)
    return _LINE_START.sub("\n", _COMMENT.sub("", whole)).strip() + "\n"
