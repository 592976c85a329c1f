"""The paths that mails and notices lead to."""

from urllib.parse import quote

from django.urls import reverse


def path_to(view: str, *args: int | str) -> str:
    """The path of a page."""
    return reverse(view, args=args)


def within(account_id: int, page: str) -> str:
    """The path of a page in an account, whichever account the reader works in now."""
    return f"{path_to('accounts:open', account_id)}?next={quote(page)}"
