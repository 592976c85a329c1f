"""Answers probes within two seconds, whatever hangs behind them, and for next to nothing.

A database that hangs (a machine that is gone, a process that is stopped) keeps a caller waiting for
minutes. So one thread asks at a time, probes wait for it for two seconds at the most, and what it
found is the answer for the second that follows, however many ask.
"""

import json
import threading
import time
from collections.abc import Iterable
from functools import cache
from http import HTTPStatus
from io import BytesIO
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from django.conf import settings
from django.db import connections

from config.server.responses import WSGIApplication

SECONDS = 1.8
"""For an answer: what asks gives up after two."""
KEPT_SECONDS = 1.0
LIVE = "/livez"
BEHIND_DATABASE = ("/readyz", "/healthz")
PROBES = (LIVE, *BEHIND_DATABASE)
HUNG = {
    "status": "unavailable",
    "checks": {"database": f"Something that is asked has not answered within {SECONDS} seconds."},
}
_PLAIN = [
    ("Content-Type", "application/json"),
    ("Cache-Control", "no-store"),
    ("X-Content-Type-Options", "nosniff"),
]


class Answer(NamedTuple):
    """What Django said."""

    status: str
    headers: list[tuple[str, str]]
    body: bytes


class Probe:
    """A question to Django, asked by one thread at a time."""

    def __init__(self, serve: WSGIApplication, path: str) -> None:
        self._serve, self._path = serve, path
        self._turn = threading.Condition()
        self._asked_at: float | None = None
        """Since when a thread asks; None if none does."""
        self._found: Answer | None = None
        self._found_at = 0.0

    def answer(self) -> Answer:
        """The newest answer, which is no older than a second, or that there was none in time."""
        with self._turn:
            if self._is_fresh():
                return self._found or _hung()
            if self._asked_at is None:
                self._asked_at = time.monotonic()
                threading.Thread(target=self._ask, name=self._path, daemon=True).start()
            gives_up_at = self._asked_at + SECONDS
            while self._is_asking:
                if not self._turn.wait(max(0.0, gives_up_at - time.monotonic())):
                    return _hung()
            return self._found or _hung()

    @property
    def _is_asking(self) -> bool:
        return self._asked_at is not None

    def _is_fresh(self) -> bool:
        return time.monotonic() < self._found_at + KEPT_SECONDS and not self._is_asking

    def _ask(self) -> None:
        found = None
        try:
            found = self._call()
        finally:
            connections.close_all()  # this thread's
            with self._turn:
                self._found, self._found_at = found, time.monotonic()
                self._asked_at = None
                self._turn.notify_all()

    def _call(self) -> Answer:
        begun: list[tuple[str, list[tuple[str, str]]]] = []

        def start_response(status: str, headers: list[tuple[str, str]], *_error: Any) -> None:
            begun.append((status, headers))

        parts = self._serve(_request(self._path), start_response)
        try:
            body = b"".join(parts)
        finally:
            if close := getattr(parts, "close", None):
                close()
        status, headers = begun[-1]
        if ("Content-Type", "application/json") not in headers:
            return _hung()  # the page for people, of what failed in front of the view
        return Answer(status, headers, body)


def answer_probes(serve: WSGIApplication) -> WSGIApplication:
    """Answer GET and HEAD of the probes; leave everything else to `serve`."""
    probes = {path: Probe(serve, path) for path in BEHIND_DATABASE}

    def serve_or_probe(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        path, method = environ.get("PATH_INFO", ""), environ.get("REQUEST_METHOD")
        if path not in PROBES or method not in ("GET", "HEAD"):
            return serve(environ, start_response)
        found = _alive() if path == LIVE else probes[path].answer()
        start_response(found.status, found.headers)
        return [found.body] if method == "GET" else []

    return serve_or_probe


@cache
def _alive() -> Answer:
    return _said(HTTPStatus.OK, {"status": "ok"})


@cache
def _hung() -> Answer:
    return _said(HTTPStatus.SERVICE_UNAVAILABLE, HUNG)


def _said(status: HTTPStatus, told: dict[str, Any]) -> Answer:
    body = json.dumps(told, separators=(",", ":")).encode()
    headers = [*_PLAIN, ("Content-Length", str(len(body)))]
    if status is HTTPStatus.SERVICE_UNAVAILABLE:
        headers.append(("Retry-After", "5"))
    return Answer(f"{status.value} {status.phrase}", headers, body)


def _request(path: str) -> dict[str, Any]:
    """A request with nothing in it that comes from the one who asks."""
    base = urlsplit(settings.BASE_URL)
    return {
        "REQUEST_METHOD": "GET",
        "SCRIPT_NAME": "",
        "PATH_INFO": path,
        "QUERY_STRING": "",
        "SERVER_NAME": base.hostname or "localhost",
        "SERVER_PORT": str(base.port or (443 if base.scheme == "https" else 80)),
        "SERVER_PROTOCOL": "HTTP/1.1",
        "REMOTE_ADDR": "127.0.0.1",
        "HTTP_HOST": base.netloc,
        "wsgi.url_scheme": base.scheme,
        "wsgi.input": BytesIO(),
        "wsgi.errors": BytesIO(),
        "wsgi.version": (1, 0),
        "wsgi.multithread": True,
        "wsgi.multiprocess": True,
        "wsgi.run_once": False,
    }
