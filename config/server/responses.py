"""Answers that are given in front of Django."""

from collections.abc import Callable, Iterable, Mapping
from http import HTTPStatus
from typing import Any

WSGIApplication = Callable[[dict[str, Any], Any], Iterable[bytes]]


def respond(
    environ: dict[str, Any],
    start_response: Any,
    status: HTTPStatus,
    *,
    kind: str,
    text: str,
    more: Mapping[str, str] | None = None,
) -> Iterable[bytes]:
    """Answer with a text of this content type, which nobody may keep."""
    body = text.encode()
    headers = [
        ("Content-Type", kind),
        ("Content-Length", str(len(body))),
        ("Cache-Control", "no-store"),
        *(more or {}).items(),
    ]
    start_response(f"{status.value} {status.phrase}", headers)
    return [] if environ.get("REQUEST_METHOD") == "HEAD" else [body]
