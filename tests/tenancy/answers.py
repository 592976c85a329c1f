"""Answers in one word, as the matrix writes them."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from typing import Any

from django.core.cache import cache
from django.db import transaction
from django.test import Client

REFUSED = {"in", "again", "400", "401", "403", "404", "405", "429"}
_FLEETING = re.compile(
    rb'(name="csrfmiddlewaretoken" value="[^"]*"|nonce="[^"]*"|value="[0-9a-f-]{36}")'
)


def ask(client: Client, method: str, address: str) -> Any:
    """The answer to a request that says as little as it can; it leaves the browser as it was."""
    is_call = address.startswith("/iam/")
    kind = "application/json" if is_call else "application/x-www-form-urlencoded"
    cookies = deepcopy(client.cookies)
    try:
        return client.generic(method, address, "{}" if is_call else "", content_type=kind)
    finally:
        client.cookies = cookies


def outcome(answer: Any) -> str:
    """The status; for redirects `in` (sign in first), `again` (sign in again) or `go`."""
    if answer.status_code not in (301, 302):
        return str(answer.status_code)
    path = answer["Location"].partition("?")[0]
    if path in ("/sign-in/", "/operators/login/"):
        return "in"
    return "again" if path.startswith("/sign-in/again/") else "go"


def text(answer: Any) -> bytes:
    """What the answer says, without what is different every time."""
    body = b"".join(answer.streaming_content) if answer.streaming else answer.content
    return _FLEETING.sub(b"", body)


@contextmanager
def rolled_back() -> Iterator[None]:
    """What happens inside has not happened: neither in the database nor to the rate limits."""
    cache.clear()
    with transaction.atomic():
        yield
        transaction.set_rollback(True)
