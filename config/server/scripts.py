"""Scripts as browsers get them: one file for those that a page always needs, without comments."""

import re
from collections.abc import Callable

_IMPORT = re.compile(r'import "\./([\w.-]+)";\n')
_COMMENT = re.compile(r"^[ \t]*(/\*.*?\*/|//[^\n]*)\n", re.DOTALL | re.MULTILINE)
_LINE_START = re.compile(r"\n\s+")


def slim(text: str, read: Callable[[str], str]) -> str:
    """The script with those that it imports in their places (`read` gives them by their names),
    each in a block, as a module keeps its names to itself; and without comments that are lines of
    their own and without indentation."""
    whole = _IMPORT.sub(lambda found: f"{{\n{read(found[1])}}}\n", text)
    return _LINE_START.sub("\n", _COMMENT.sub("", whole)).strip() + "\n"
