"""Says once what became of a token, on the page after the dialog that showed it."""

from datetime import datetime, timedelta

from django.contrib import messages
from django.http import HttpRequest

SHORTLY = timedelta(days=1)
MOST_KEPT = 20
_TOLD = "told-of-tokens"


def say_once(
    request: HttpRequest, words: str, *, about: str, since: datetime, at: datetime
) -> None:
    """Say it on the next page, if it was not long ago and was not said in this session before.
    `about`: which event it is. The address can be opened at any time, and stands in histories."""
    told: list[str] = request.session.get(_TOLD, [])
    if about in told or since < at - SHORTLY:
        return
    request.session[_TOLD] = [*told, about][-MOST_KEPT:]
    messages.success(request, words)
