"""Sends requests, and describes their outcomes in one word."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from datetime import timedelta
from typing import Any

import pytest
from django.conf import settings
from django.core.cache import cache
from django.db import transaction
from django.test import Client
from django.utils import timezone
from pytest_django import DjangoDbBlocker

from notifications.health import report

REFUSED = {"in", "again", "400", "401", "403", "404", "405", "429"}
_FLEETING = re.compile(
    rb'(name="csrfmiddlewaretoken" value="[^"]*"|nonce="[^"]*"|value="[0-9a-f-]{36}")'
)


def send(client: Client, method: str, address: str) -> Any:
    """Send a minimal request, and return the response; cookies stay as they were."""
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
    """The body of the response, without tokens and nonces that differ every time."""
    body = b"".join(answer.streaming_content) if answer.streaming else answer.content
    return _FLEETING.sub(b"", body)


@contextmanager
def rolled_back() -> Iterator[None]:
    """Undo everything inside, in the database and in the rate limits."""
    cache.clear()
    with transaction.atomic():
        yield
        transaction.set_rollback(True)


@contextmanager
def made_once(blocker: DjangoDbBlocker) -> Iterator[None]:
    """What is made inside is there for all tests of a module, which roll back what they do."""
    tomorrow = timezone.now() + timedelta(days=1)
    with blocker.unblock(), transaction.atomic(), pytest.MonkeyPatch.context() as patch:
        # However long the tests take, /healthz does not report a missing worker, and nobody has to
        # re-authenticate.
        patch.setattr(report.health, "__kwdefaults__", {"started_at": tomorrow})
        patch.setattr(settings, "ACCOUNT_REAUTHENTICATION_TIMEOUT", 24 * 3600)
        yield
        transaction.set_rollback(True)
