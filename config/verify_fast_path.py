"""Answers `/iam/auth/verify` from the cache, in front of Django.

An empty request costs Django several times what it takes to check a token. So requests that need no
I/O are answered here: for a token that was looked up less than `VERIFY_CACHE_SECONDS` ago, and for
a refusal without a look-up. All others, and unusual ones, go to Django. Both word their answer by
`apitokens.api.responses`, and the tests compare them. A fault in here is logged, and Django answers
in its place.
"""

import logging
from collections.abc import Callable, Iterable
from functools import cache, lru_cache
from http import HTTPStatus
from typing import Any, NamedTuple

from django.conf import settings
from django.core.handlers.wsgi import WSGIRequest
from django.utils import timezone

from accounts.http.client_ip import client_address, normalize_forwarded_proto
from apitokens.api.responses import (
    InvalidRequirement,
    answer_requirement,
    read_requirement,
)
from apitokens.verification.refusals import Requirement
from apitokens.verification.verify import verify_from_cache
from config.middleware import security_headers

logger = logging.getLogger(__name__)

WSGIApplication = Callable[[dict[str, Any], Any], Iterable[bytes]]

PATH = "/iam/auth/verify"
REQUEST_PARTS = (
    "REQUEST_METHOD",
    "SCRIPT_NAME",
    "QUERY_STRING",
    "CONTENT_LENGTH",
    "REMOTE_ADDR",
    "HTTP_X_FORWARDED_FOR",
    "HTTP_X_FORWARDED_PROTO",
    "wsgi.url_scheme",
)
MOST_CHARACTERS = 500
"""Characters. Longer ones go to Django."""
MOST_REQUEST_KEYS = 4_096
"""Cached in 2 KB each: 8 MB at the most."""


class _Head(WSGIRequest):
    """A request of which only the head is looked at: no body, query or cookie is taken apart."""

    def __init__(self, environ: dict[str, Any]) -> None:
        self.environ = self.META = environ


class _RequestKey(NamedTuple):
    """The facts of a request beside its Authorization header: the address, the requirement on the
    token, and the headers of the answer."""

    address: str | None
    requirement: Requirement
    headers: list[tuple[str, str]]


def shortcut(serve: WSGIApplication) -> WSGIApplication:
    """Answer from the cache where that is possible; leave all other requests to `serve`."""

    def serve_or_answer(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        if environ.get("PATH_INFO") != PATH:
            return serve(environ, start_response)
        try:
            answer = _answer(environ)
        except Exception:
            logger.exception("The fast path failed; Django answers.")
            answer = None
        if answer is None:
            return serve(environ, start_response)
        status, headers, body = answer
        start_response(status, headers)
        return body

    return serve_or_answer


def _answer(environ: dict[str, Any]) -> tuple[str, list[tuple[str, str]], list[bytes]] | None:
    """Status line, headers and body of the answer; None if Django has to give it."""
    request = _request_key(environ)
    if request is None:
        return None
    given = answer_requirement(
        request.requirement,
        authorization=environ.get("HTTP_AUTHORIZATION"),
        at=timezone.now(),
        address=request.address,
        verify=verify_from_cache,
    )
    if given is None:
        return None
    body = [] if environ["REQUEST_METHOD"] == "HEAD" else [given.body]
    return _status_line(given.status), given.headers + request.headers, body


def _request_key(environ: dict[str, Any]) -> _RequestKey | None:
    """The facts of the request. None for an unusual one, which goes to Django."""
    texts = tuple([environ.get(name) for name in REQUEST_PARTS])
    if len("".join(filter(None, texts))) > MOST_CHARACTERS or "HTTP_TRANSFER_ENCODING" in environ:
        return None
    try:
        return _read_request_key(texts)
    except (_NotCacheable, InvalidRequirement):
        return None


class _NotCacheable(Exception):
    """Some rule of the portal's middleware would stop or change this request."""


@lru_cache(maxsize=MOST_REQUEST_KEYS)
def _read_request_key(texts: tuple[str | None, ...]) -> _RequestKey:
    """Read what the request says. Cached, because proxies send the same again and again.

    Raises `_NotCacheable` or `InvalidRequirement`, so that nothing of an unusual request is cached:
    it may have a token in its address.
    """
    head = _Head(
        {name: text for name, text in zip(REQUEST_PARTS, texts, strict=True) if text is not None}
    )
    requirement = read_requirement(head.META.get("QUERY_STRING", ""))
    normalize_forwarded_proto(head.META)
    is_secure = head.is_secure()
    if not _is_plain(head, is_secure=is_secure):
        raise _NotCacheable
    return _RequestKey(client_address(head), requirement, security_headers(is_secure))


def _is_plain(head: _Head, *, is_secure: bool) -> bool:
    """True for a request that no rule of the portal's middleware would stop or change."""
    facts = head.META
    if facts.get("SCRIPT_NAME"):
        return False
    if facts.get("CONTENT_LENGTH") not in (None, "", "0"):
        return False
    return is_secure or not settings.SECURE_SSL_REDIRECT


@cache
def _status_line(status: int) -> str:
    return f"{status} {HTTPStatus(status).phrase}"
