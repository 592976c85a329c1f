"""Scopes as words: `service:scope`, and several of them with spaces between."""

import re
from collections.abc import Iterable

from apitokens.models import LONGEST_CODE

MOST_SCOPES = 50
"""Of one token: all of them stand in one header of each verification."""
_CODE = f"[a-z][a-z0-9_-]{{0,{LONGEST_CODE - 1}}}"
PATTERN = f"^{_CODE}:{_CODE}$"
_WORD = re.compile(f"{_CODE}:{_CODE}")


def is_scope(text: str) -> bool:
    """True for a word that could be a scope, whether or not there is one."""
    return _WORD.fullmatch(text) is not None


def joined(scopes: Iterable[str]) -> str:
    """Many as one text, in an order of its own."""
    return " ".join(sorted(set(scopes)))
