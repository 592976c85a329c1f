"""The short way to `/iam/auth/verify`, in front of Django, for what memory can answer.

An empty request costs Django several times what it takes to check a token. So what needs no I/O is
answered here: a token that was looked up less than `VERIFY_STALE_SECONDS` ago, and a refusal that
looks nothing up. Everything else, and everything odd, goes the ordinary way. Both ways word their
answer by `apitokens.api.answers`, and the tests compare them.
"""

from collections.abc import Callable, Iterable
from functools import cache, lru_cache
from http import HTTPStatus
from typing import Any

from django.conf import settings
from django.core.exceptions import DisallowedHost
from django.core.handlers.wsgi import WSGIRequest
from django.utils import timezone

from accounts.addresses import client_address, is_trusted_peer
from apitokens.api.answers import METHODS, Answer, answer
from apitokens.verification import recall
from config.middleware import security_headers

WSGIApplication = Callable[[dict[str, Any], Any], Iterable[bytes]]

PATH = "/iam/auth/verify"


class _Head(WSGIRequest):
    """A request of which only the head is looked at: no body, query or cookie is taken apart."""

    def __init__(self, environ: dict[str, Any]) -> None:
        self.environ = self.META = environ


def shortcut(serve: WSGIApplication) -> WSGIApplication:
    """Answer from memory where that is possible; leave everything else to `serve`."""

    def serve_or_answer(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        if environ.get("PATH_INFO") != PATH or environ.get("SCRIPT_NAME"):
            return serve(environ, start_response)
        head = _Head(environ)
        is_secure = head.is_secure()
        given = _recall(head) if _is_plain(head, is_secure=is_secure) else None
        if given is None:
            return serve(environ, start_response)
        start_response(_status_line(given.status), [*given.headers, *security_headers(is_secure)])
        return [] if environ["REQUEST_METHOD"] == "HEAD" else [given.body]

    return serve_or_answer


def _recall(head: _Head) -> Answer | None:
    return answer(
        authorization=head.META.get("HTTP_AUTHORIZATION", ""),
        query=head.META.get("QUERY_STRING", ""),
        at=timezone.now(),
        address=client_address(head),
        ask=recall,
    )


def _is_plain(head: _Head, *, is_secure: bool) -> bool:
    """True for a request that no rule of the portal's middleware would stop or change."""
    facts = head.META
    if facts["REQUEST_METHOD"] not in METHODS or "HTTP_TRANSFER_ENCODING" in facts:
        return False
    if facts.get("CONTENT_LENGTH") not in (None, "", "0"):
        return False
    if "HTTP_X_FORWARDED_PROTO" in facts and not is_trusted_peer(head):
        return False
    if not _is_ours(facts.get("HTTP_HOST", "")):
        return False
    return is_secure or not settings.SECURE_SSL_REDIRECT


@lru_cache(maxsize=256)
def _is_ours(host: str) -> bool:
    """True for a Host header that Django would accept."""
    try:
        return bool(_Head({"HTTP_HOST": host}).get_host()) if host else False
    except DisallowedHost:
        return False


@cache
def _status_line(status: int) -> str:
    return f"{status} {HTTPStatus(status).phrase}"
