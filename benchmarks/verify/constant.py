"""The ceiling: granian serves a function that returns what `verify` says of a good token, and does
nothing for it."""

from collections.abc import Iterable
from typing import Any

HEADERS = [
    ("Content-Type", "text/plain; charset=utf-8"),
    ("Content-Length", "0"),
    ("Cache-Control", "no-store"),
    ("X-Auth-Token-Id", "100000000"),
    ("X-Auth-Account-Id", "1"),
    ("X-Auth-User-Id", "1"),
    ("X-Auth-User-Email", "person0@example.com"),
    ("X-Auth-Role", "Users"),
    ("X-Auth-Scopes", "*"),
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "same-origin"),
    ("Cross-Origin-Opener-Policy", "same-origin"),
]


def application(_environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    start_response("200 OK", HEADERS)
    return [b""]
