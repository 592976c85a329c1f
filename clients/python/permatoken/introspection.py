"""Asks the portal what a token is good for (RFC 7662)."""

import json
import logging
import time
from typing import Any

import httpx

from permatoken.errors import TooMany, Unavailable
from permatoken.memory import LONGEST, Memory
from permatoken.token import Token

logger = logging.getLogger("permatoken")

PATH = "/iam/auth/introspect"
TIMEOUT = 3.0
"""Seconds for an answer of the portal."""
LONGEST_TOKEN = 4_096
"""Characters. Nothing that is longer is a token."""


def _question(text: str, address: str | None) -> str:
    """What an answer is remembered by."""
    return json.dumps([text, address])


def _form(text: str, address: str | None) -> dict[str, str]:
    return {"token": text} if address is None else {"token": text, "client_address": address}


def _is_no_token(text: str) -> bool:
    return not text or len(text) > LONGEST_TOKEN or not text.isascii()


def _unavailable(reason: str) -> Unavailable:
    """What is raised is seen by nobody but the client: those who run the service read the log."""
    logger.warning("API tokens can't be checked: %s", reason)
    return Unavailable(reason)


def _of_status(answer: httpx.Response) -> Unavailable:
    status = answer.status_code
    if status == httpx.codes.TOO_MANY_REQUESTS:
        wait = answer.headers.get("Retry-After", "")
        return TooMany("Too many questions.", retry_after=wait if wait.isdecimal() else "1")
    if status in (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN):
        why = answer.headers.get("X-Auth-Error", "no reason is given")
        return _unavailable(f"The portal does not accept the verifier key ({status}, {why}).")
    return _unavailable(f"The portal answered {status} to the introspection.")


class _Settings:
    """What both introspectors share."""

    def __init__(self, url: str, key: str, *, memory_seconds: float = LONGEST) -> None:
        """`url`: the portal's; `key`: a verifier key, which an operator of the portal makes.
        `memory_seconds`: how long an answer may be used again, 0 to ask each time."""
        self.memory = Memory(seconds=memory_seconds)
        self._options: dict[str, Any] = {
            "base_url": url.rstrip("/"),
            "headers": {"Authorization": f"Bearer {key}"},
            "timeout": TIMEOUT,
        }

    def recall(self, text: str, address: str | None) -> tuple[bool, Token | None]:
        """Whether nobody has to be asked, and the answer."""
        if _is_no_token(text):
            return True, None
        return self.memory.find(_question(text, address))

    def read(
        self, text: str, address: str | None, answer: httpx.Response, *, asked_at: float
    ) -> Token | None:
        """Raises `Unavailable`."""
        if answer.status_code != httpx.codes.OK:
            raise _of_status(answer)
        try:
            members = answer.json()
            token = Token.read(members) if members["active"] is True else None
        except (KeyError, TypeError, ValueError, OverflowError, RecursionError):
            raise _unavailable("The portal's answer is none to an introspection.") from None
        self.memory.keep(_question(text, address), token, asked_at=asked_at)
        return None if token is not None and token.has_expired else token


class Introspector(_Settings):
    """For services with threads. Safe to share between them."""

    def __init__(
        self,
        url: str,
        key: str,
        *,
        memory_seconds: float = LONGEST,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        super().__init__(url, key, memory_seconds=memory_seconds)
        self._client = httpx.Client(transport=transport, **self._options)

    def describe(self, text: str, client_address: str | None = None) -> Token | None:
        """The token; None if it is not good. Raises `Unavailable`, or `TooMany`, which is one. With
        the address of the client that has sent it, None too if it does not work from there;
        without, the caller has to compare its `allowed_addresses`."""
        is_known, token = self.recall(text, client_address)
        if is_known:
            return token
        asked_at = time.monotonic()
        try:
            answer = self._client.post(PATH, data=_form(text, client_address))
        except httpx.HTTPError as fault:
            raise _unavailable(f"The portal does not answer: {type(fault).__name__}.") from None
        return self.read(text, client_address, answer, asked_at=asked_at)

    def close(self) -> None:
        self._client.close()


class AsyncIntrospector(_Settings):
    """For services with an event loop."""

    def __init__(
        self,
        url: str,
        key: str,
        *,
        memory_seconds: float = LONGEST,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        super().__init__(url, key, memory_seconds=memory_seconds)
        self._client = httpx.AsyncClient(transport=transport, **self._options)

    async def describe(self, text: str, client_address: str | None = None) -> Token | None:
        """As `Introspector.describe`."""
        is_known, token = self.recall(text, client_address)
        if is_known:
            return token
        asked_at = time.monotonic()
        try:
            answer = await self._client.post(PATH, data=_form(text, client_address))
        except httpx.HTTPError as fault:
            raise _unavailable(f"The portal does not answer: {type(fault).__name__}.") from None
        return self.read(text, client_address, answer, asked_at=asked_at)

    async def close(self) -> None:
        await self._client.aclose()
