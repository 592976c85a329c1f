"""Remembers answers, for a second at most. No token is kept, only digests."""

import hashlib
import secrets
import time
from threading import Lock

from permatoken.token import Token

LONGEST = 1.0
"""Seconds."""


class Memory:
    """The last `most` answers; each counts from before it was asked for."""

    def __init__(self, *, seconds: float = LONGEST, most: int = 10_000) -> None:
        if not 0 <= seconds <= LONGEST:
            raise ValueError(f"memory_seconds must be from 0 to {LONGEST:g}.")
        self._seconds, self._most = seconds, most
        self._key = secrets.token_bytes(32)
        self._answers: dict[bytes, tuple[float, Token | None]] = {}
        self._change = Lock()

    def __len__(self) -> int:
        return len(self._answers)

    def find(self, text: str) -> tuple[bool, Token | None]:
        """Whether the answer is remembered, and the answer."""
        held = self._answers.get(self._digest(text))
        if held is None or held[0] <= time.monotonic():
            return False, None
        token = held[1]
        return True, None if token is not None and token.has_expired else token

    def keep(self, text: str, token: Token | None, *, asked_at: float) -> None:
        if not self._seconds:
            return
        digest = self._digest(text)
        with self._change:
            self._answers.pop(digest, None)
            self._answers[digest] = (asked_at + self._seconds, token)
            while len(self._answers) > self._most:
                del self._answers[next(iter(self._answers))]

    def _digest(self, text: str) -> bytes:
        return hashlib.blake2b(text.encode("utf-8", "replace"), key=self._key).digest()
