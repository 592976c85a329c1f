"""WSGI middleware: lets requests in with a good token, and tells the application whose it is."""

from collections.abc import Callable, Iterable
from typing import Any

from permatoken.authorization import token_in
from permatoken.errors import (
    ADDRESS_NOT_ALLOWED,
    MISSING,
    NOT_ACTIVE,
    Refusal,
    Unavailable,
    refusal_of,
)
from permatoken.introspection import Introspector

Application = Callable[[dict[str, Any], Any], Iterable[bytes]]
TOKEN = "permatoken.token"  # noqa: S105  # a name
"""Where the application finds the `Token`: in the environ, or in the scope."""


class PermatokenMiddleware:
    """`is_optional`: requests without a token get in too, with None; `requires` refuses them.
    `client_address`: tells the address of the client from the environ, or None; without it tokens
    that are limited to addresses do not get in."""

    def __init__(
        self,
        application: Application,
        introspector: Introspector,
        *,
        is_optional: bool = False,
        client_address: Callable[[dict[str, Any]], str | None] | None = None,
    ) -> None:
        self._application = application
        self._introspector = introspector
        self._is_optional = is_optional
        self._client_address = client_address

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
        address = self._client_address(environ) if self._client_address else None
        try:
            token = self._introspector.describe(text, address)
        except Unavailable as fault:
            return refusal_of(fault)
        if token is None:
            return NOT_ACTIVE
        if token.allowed_addresses and address is None:
            return ADDRESS_NOT_ALLOWED
        environ[TOKEN] = token
        return None


def send(refusal: Refusal, start_response: Any) -> Iterable[bytes]:
    start_response(f"{refusal.status} {refusal.reason}", refusal.headers)
    return [refusal.body]
