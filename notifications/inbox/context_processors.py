"""Context processor of the bell in the top bar."""

from functools import cache
from typing import Any

from django.http import HttpRequest

from notifications.models import Notice
from notifications.recipients import person_of

MOST_COUNTED = 100
"""The bell says "99+" for these and more; nobody counts further, nor does the database."""


def bell(request: HttpRequest) -> dict[str, Any]:
    """`unread_notices`: the number of unread notices, counted only when a page shows it."""
    if not hasattr(request, "user") or not request.user.is_authenticated:
        return {"unread_notices": 0}
    # Called by the page, if it shows it; a lazy object would be no number to a plural rule.
    return {"unread_notices": cache(lambda: _count(request))}


def _count(request: HttpRequest) -> int:
    person = person_of(request)
    if person is None:
        return 0
    inbox = Notice.objects.to(user_id=person.user_id, account_id=person.account_id)
    return inbox.unread().order_by()[:MOST_COUNTED].count()
