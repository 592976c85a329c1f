"""The paths that mails and notices lead to. Asked for many times, they are worked out once."""

from functools import lru_cache
from urllib.parse import quote

from django.urls import get_script_prefix, reverse

A_WORD = "~a-word~"


def path_to(view: str, *args: int) -> str:
    """The path of a page."""
    return _path_to(get_script_prefix(), view, *args)


def path_with(view: str, word: str) -> str:
    """The path of a page with a word in it that is seldom the same twice, of letters, digits, and
    signs that a path may have."""
    return _path_to(get_script_prefix(), view, A_WORD).replace(A_WORD, word)


def within(account_id: int, page: str) -> str:
    """The path of a page as people of that account see it, whichever they work in now."""
    return f"{path_to('accounts:open', account_id)}?next={quote(page)}"


@lru_cache(maxsize=1024)
def _path_to(_script_prefix: str, view: str, *args: int | str) -> str:
    return reverse(view, args=args)
