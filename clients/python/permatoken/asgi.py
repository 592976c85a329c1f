"""ASGI middleware: lets requests and WebSockets in with a good token, and tells whose it is."""

from collections.abc import Awaitable, Callable
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
from permatoken.introspection import AsyncIntrospector
from permatoken.wsgi import TOKEN

Application = Callable[[dict[str, Any], Any, Any], Awaitable[None]]


class PermatokenMiddleware:
    """`is_optional`: requests without a token get in too, with None; `requires` refuses them.
    `client_address`: tells the address of the client from the scope, or None; without it tokens
    that are limited to addresses do not get in."""

    def __init__(
        self,
        application: Application,
        introspector: AsyncIntrospector,
        *,
        is_optional: bool = False,
        client_address: Callable[[dict[str, Any]], str | None] | None = None,
    ) -> None:
        self._application = application
        self._introspector = introspector
        self._is_optional = is_optional
        self._client_address = client_address

    async def __call__(self, scope: dict[str, Any], receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            await self._application(scope, receive, send)
            return
        if scope["type"] not in ("http", "websocket"):
            raise ValueError(
                f"Nobody gets in by {scope['type']!r}: it has no known place for a token."
            )
        scope = {**scope, TOKEN: None}
        refusal = await self._refusal(scope)
        if refusal is not None:
            await refuse(refusal, scope, receive, send)
            return
        await self._application(scope, receive, send)

    async def _refusal(self, scope: dict[str, Any]) -> Refusal | None:
        sent = [value for name, value in scope["headers"] if name.lower() == b"authorization"]
        text = token_in(sent[0].decode("latin-1")) if len(sent) == 1 else None
        if text is None:
            return None if self._is_optional and not sent else MISSING
        address = self._client_address(scope) if self._client_address else None
        try:
            token = await self._introspector.describe(text, address)
        except Unavailable as fault:
            return refusal_of(fault)
        if token is None:
            return NOT_ACTIVE
        if token.allowed_addresses and address is None:
            return ADDRESS_NOT_ALLOWED
        scope[TOKEN] = token
        return None


async def refuse(refusal: Refusal, scope: dict[str, Any], receive: Any, send: Any) -> None:
    """Answer the request; a WebSocket is closed before it is accepted, which servers answer 403."""
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.close", "code": 1008, "reason": refusal.code})
        return
    headers = [(name.lower().encode(), value.encode()) for name, value in refusal.headers]
    await send({"type": "http.response.start", "status": refusal.status, "headers": headers})
    await send({"type": "http.response.body", "body": refusal.body})
