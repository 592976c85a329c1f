"""The paths that mails and notices lead to. Asked for many times, they are worked out once."""

from functools import lru_cache
from urllib.parse import quote

from django.urls import get_script_prefix, reverse


def path_to(view: str, *args: int) -> str:
    """The path of a page."""
    return _path_to(get_script_prefix(), view, *args)


def within(account_id: int, page: str) -> str:
    """The path of a page as people of that account see it, whichever they work in now."""
    return f"{path_to('accounts:open', account_id)}?next={quote(page)}"


@lru_cache(maxsize=1024)
def _path_to(_script_prefix: str, view: str, *args: int) -> str:
    return reverse(view, args=args)
