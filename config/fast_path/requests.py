"""What both short ways know of requests and answers."""

from functools import cache
from http import HTTPStatus
from typing import Any

from django.conf import settings
from django.core.handlers.wsgi import WSGIRequest

from accounts.http.client_ip import normalize_forwarded_proto
from config.middleware import security_headers

Headers = list[tuple[str, str]]
Sent = tuple[str, Headers, list[bytes], str]
"""Status line, headers and body of an answer, and the result by which it is counted."""

MOST_CHARACTERS = 500
"""Of all that is looked at of a head. Longer ones go to Django."""
MOST_HEADS = 4_096
"""Remembered in 2 KB each: 8 MB at the most, for each way."""


class NotCacheable(Exception):
    """Some rule of the portal's middleware would stop or change this request."""


class Head(WSGIRequest):
    """A request of which only the head is looked at: no body, query or cookie is taken apart."""

    def __init__(self, environ: dict[str, Any]) -> None:
        self.environ = self.META = environ


def headers_for(head: Head) -> Headers:
    """The headers that the portal adds to each answer. Raises `NotCacheable` for a request below
    another path, or without TLS where TLS is required."""
    if head.META.get("SCRIPT_NAME"):
        raise NotCacheable
    normalize_forwarded_proto(head.META)
    is_secure = head.is_secure()
    if settings.SECURE_SSL_REDIRECT and not is_secure:
        raise NotCacheable
    return security_headers(is_secure)


def texts_of(environ: dict[str, Any], names: tuple[str, ...]) -> tuple[str | None, ...] | None:
    """The values of these names; None if the body has no length."""
    return None if "HTTP_TRANSFER_ENCODING" in environ else tuple(map(environ.get, names))


def head_of(texts: tuple[str | None, ...], names: tuple[str, ...]) -> Head:
    """Raises `NotCacheable` for a long one."""
    if len("".join(filter(None, texts))) > MOST_CHARACTERS:
        raise NotCacheable
    return Head({name: text for name, text in zip(names, texts, strict=True) if text is not None})


@cache
def status_line(status: int) -> str:
    return f"{status} {HTTPStatus(status).phrase}"
