"""The short way to `/iam/auth/verify`, in front of Django, for what memory can answer.

An empty request costs Django several times what it takes to check a token. So what needs no I/O is
answered here: a token that was looked up less than `VERIFY_CACHE_SECONDS` ago, and a refusal that
looks nothing up. Everything else, and everything odd, goes the ordinary way. Both ways word their
answer by `apitokens.api.responses`, and the tests compare them.
"""

from collections.abc import Callable, Iterable
from functools import cache, lru_cache
from http import HTTPStatus
from typing import Any, NamedTuple

from django.conf import settings
from django.core.exceptions import DisallowedHost
from django.core.handlers.wsgi import WSGIRequest
from django.utils import timezone

from accounts.http.client_ip import client_address, is_trusted_peer
from apitokens.api.responses import METHODS, BadNeed, answer_need, read_need
from apitokens.verification.authorization_header import Requirement
from apitokens.verification.verify import verify_from_cache
from config.middleware import security_headers

WSGIApplication = Callable[[dict[str, Any], Any], Iterable[bytes]]

PATH = "/iam/auth/verify"
FRAME = (
    "REQUEST_METHOD",
    "SCRIPT_NAME",
    "QUERY_STRING",
    "CONTENT_LENGTH",
    "HTTP_HOST",
    "REMOTE_ADDR",
    "HTTP_X_FORWARDED_FOR",
    "HTTP_X_FORWARDED_PROTO",
    "wsgi.url_scheme",
)
LONGEST_FRAME = 500
"""Characters. What is longer goes the ordinary way."""
MOST_FRAMES = 4_096
"""Frames are remembered, in 2 KB each: 8 MB at the most."""


class _Head(WSGIRequest):
    """A request of which only the head is looked at: no body, query or cookie is taken apart."""

    def __init__(self, environ: dict[str, Any]) -> None:
        self.environ = self.META = environ


class _RequestKey(NamedTuple):
    """All that a request says, but for the Authorization header: from where it comes, what a token
    is to be good for, and with which headers it is answered."""

    address: str | None
    need: Requirement
    headers: list[tuple[str, str]]


def shortcut(serve: WSGIApplication) -> WSGIApplication:
    """Answer from memory where that is possible; leave everything else to `serve`."""

    def serve_or_answer(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        frame = _frame(environ) if environ.get("PATH_INFO") == PATH else None
        if frame is None:
            return serve(environ, start_response)
        given = answer_need(
            frame.need,
            authorization=environ.get("HTTP_AUTHORIZATION", ""),
            at=timezone.now(),
            address=frame.address,
            ask=verify_from_cache,
        )
        if given is None:
            return serve(environ, start_response)
        start_response(_status_line(given.status), given.headers + frame.headers)
        return [] if environ["REQUEST_METHOD"] == "HEAD" else [given.body]

    return serve_or_answer


def _frame(environ: dict[str, Any]) -> _RequestKey | None:
    """None for what is odd: it goes the ordinary way."""
    texts = tuple([environ.get(name) for name in FRAME])
    if len("".join(filter(None, texts))) > LONGEST_FRAME or "HTTP_TRANSFER_ENCODING" in environ:
        return None
    try:
        return _read_frame(texts)
    except (_NotCacheable, BadNeed):
        return None


class _NotCacheable(Exception):
    """Some rule of the portal's middleware would stop or change this request."""


@lru_cache(maxsize=MOST_FRAMES)
def _read_frame(texts: tuple[str | None, ...]) -> _RequestKey:
    """Proxies ask the same again and again, so what they ask is read once.

    Raises `_NotCacheable` or `BadNeed`, so that nothing is remembered of what is odd: somebody may
    have put a token into the address.
    """
    head = _Head({name: text for name, text in zip(FRAME, texts, strict=True) if text is not None})
    need = read_need(head.META.get("QUERY_STRING", ""))
    is_secure = head.is_secure()
    if not _is_plain(head, is_secure=is_secure):
        raise _NotCacheable
    return _RequestKey(client_address(head), need, security_headers(is_secure))


def _is_plain(head: _Head, *, is_secure: bool) -> bool:
    """True for a request that no rule of the portal's middleware would stop or change."""
    facts = head.META
    if facts.get("REQUEST_METHOD") not in METHODS or facts.get("SCRIPT_NAME"):
        return False
    if facts.get("CONTENT_LENGTH") not in (None, "", "0"):
        return False
    if "HTTP_X_FORWARDED_PROTO" in facts and not is_trusted_peer(head):
        return False
    if not _is_ours(head):
        return False
    return is_secure or not settings.SECURE_SSL_REDIRECT


def _is_ours(head: _Head) -> bool:
    """True for a Host header that Django would accept."""
    try:
        return bool(head.get_host()) if head.META.get("HTTP_HOST") else False
    except DisallowedHost:
        return False


@cache
def _status_line(status: int) -> str:
    return f"{status} {HTTPStatus(status).phrase}"
