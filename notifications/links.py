"""The paths that mails and notices lead to."""

from django.urls import reverse


def path_to(view: str, **arguments: int | str) -> str:
    """The path of a page. One of an account takes its `account_id`: the account of whom is told."""
    return reverse(view, kwargs=arguments)
