"""Answers that are given in front of Django."""

from collections.abc import Callable, Iterable, Sequence
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
    headers: Sequence[tuple[str, str]] = (),
) -> Iterable[bytes]:
    """Answer with a text of this content type, which nobody may keep. The address may be a secret
    link."""
    body = text.encode()
    sent = [
        ("Content-Type", kind),
        ("Content-Length", str(len(body))),
        ("Cache-Control", "no-store"),
        ("Referrer-Policy", "strict-origin"),
        ("X-Content-Type-Options", "nosniff"),
        *headers,
    ]
    start_response(f"{status.value} {status.phrase}", sent)
    return [] if environ.get("REQUEST_METHOD") == "HEAD" else [body]
