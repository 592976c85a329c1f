"""Scopes as words: `service:scope`, and several of them with spaces between."""

import re
from collections.abc import Iterable

from apitokens.models import CODE

MOST_SCOPES = 50
"""Of one token: all of them stand in one header of each verification."""
WORD = f"{CODE}:{CODE}"
PATTERN = f"^{WORD}$"
_WORD = re.compile(WORD)


def is_scope(text: str) -> bool:
    """True for a word that could be a scope, whether or not there is one."""
    return _WORD.fullmatch(text) is not None


def joined(scopes: Iterable[str]) -> str:
    """Many as one text, in an order of its own."""
    return " ".join(sorted(set(scopes)))
