"""WSGI middleware: lets requests in with a good token, and tells the application whose it is."""

from collections.abc import Callable, Iterable
from typing import Any

from permatoken.authorization import token_in
from permatoken.errors import MISSING, NOT_ACTIVE, UNAVAILABLE, Refusal, Unavailable
from permatoken.introspection import Introspector

Application = Callable[[dict[str, Any], Any], Iterable[bytes]]
TOKEN = "permatoken.token"  # noqa: S105  # a name
"""Where the application finds the `Token`: in the environ, or in the scope."""


class PermatokenMiddleware:
    """`is_optional`: requests without a token get in too, with None; `requires` refuses them."""

    def __init__(
        self, application: Application, introspector: Introspector, *, is_optional: bool = False
    ) -> None:
        self._application = application
        self._introspector = introspector
        self._is_optional = is_optional

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        refusal = self._refusal(environ)
        if refusal is not None:
            return send(refusal, start_response)
        return self._application(environ, start_response)

    def _refusal(self, environ: dict[str, Any]) -> Refusal | None:
        environ[TOKEN] = None
        text = token_in(environ.get("HTTP_AUTHORIZATION"))
        if text is None:
            return None if self._is_optional else MISSING
        try:
            environ[TOKEN] = self._introspector.describe(text)
        except Unavailable:
            return UNAVAILABLE
        return None if environ[TOKEN] is not None else NOT_ACTIVE


def send(refusal: Refusal, start_response: Any) -> Iterable[bytes]:
    start_response(f"{refusal.status} {refusal.reason}", refusal.headers)
    return [refusal.body]
