"""Answers that are given in front of Django, and how those of Django are handed to the server.

What is handed over in one piece is the server's business: the thread is free again. Of several
pieces the server asks for the next when the client has taken the one before, with a thread of which
there are few, and a stranger may take none. So an answer is handed over whole if it is of common
size, and of larger ones few are sent at once: what is small is served, verification above all.
A file of a long list counts as large once it takes time to make: its first lines are sent then.
What takes answers in a hurry, and keeps them for slow clients, stands in front: a proxy.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from http import HTTPStatus
from itertools import chain
from threading import BoundedSemaphore, Lock
from time import monotonic
from typing import Any

from accounts.throttling.threads import SHARES

WSGIApplication = Callable[[dict[str, Any], Any], Iterable[bytes]]

MOST_WHOLE = 1024 * 1024
"""Bytes of an answer that is handed over whole. The largest static file has half as many."""
MOST_SENDING = SHARES.sending
"""Larger answers that are sent at once (of each process)."""
FILE_SECONDS = 0.03
"""So long a file that is made meanwhile is waited for; then what there is of it is sent."""
TOO_MANY = "Too many large files are being downloaded right now. Try again in a few seconds."
RETRY_AFTER = "10"

_places = BoundedSemaphore(MOST_SENDING)


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


def send_whole(serve: WSGIApplication) -> WSGIApplication:
    """Hand each answer over in one piece, but for large ones: of those a few at once."""

    def serve_whole(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        begun: list[Any] = []
        answer = serve(environ, lambda *given: begun.append(given))
        if isinstance(answer, list | tuple) and len(answer) <= 1:
            start_response(*begun[-1])
            return answer
        pieces = iter(answer)
        first, is_whole = _first_pieces(answer, pieces, begun)
        if is_whole:
            start_response(*begun[-1])
            return [first]
        if not _places.acquire(blocking=False):
            _close(answer)
            return respond(
                environ,
                start_response,
                HTTPStatus.SERVICE_UNAVAILABLE,
                kind="text/plain; charset=utf-8",
                text=f"{TOO_MANY}\n",
                headers=[("Retry-After", RETRY_AFTER)],
            )
        start_response(*begun[-1])
        return _Large(chain([first], pieces), answer)

    return serve_whole


def _first_pieces(
    answer: Iterable[bytes], pieces: Iterator[bytes], begun: list[Any]
) -> tuple[bytes, bool]:
    """What comes first, and whether it is all: then the answer is closed."""
    taken, size, is_whole, began = [], 0, False, monotonic()
    try:
        while not is_whole and size <= MOST_WHOLE:
            piece = next(pieces, None)
            is_whole = piece is None
            taken.append(piece or b"")
            size += len(taken[-1])
            if size and monotonic() - began > FILE_SECONDS and _is_file(begun[-1][1]):
                break
    except BaseException:
        _close(answer)
        raise
    if is_whole:
        _close(answer)
    return b"".join(taken), is_whole


def _is_file(headers: Sequence[tuple[str, str]]) -> bool:
    """True if the answer is a file to be kept. No stranger gets one."""
    kept = (text for name, text in headers if name.lower() == "content-disposition")
    return any(text.startswith("attachment") for text in kept)


def _close(answer: Iterable[bytes]) -> None:
    if (close := getattr(answer, "close", None)) is not None:
        close()


class _Large:
    """A large answer, which has one of the places until it is sent, or given up by the server: then
    it is closed, or nobody knows it any more."""

    def __init__(self, pieces: Iterator[bytes], answer: Iterable[bytes]) -> None:
        self._pieces, self._answer = pieces, answer
        self._lock, self._has_place = Lock(), True

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        try:
            return next(self._pieces)
        except BaseException:
            self._leave()
            raise

    def close(self) -> None:
        try:
            _close(self._answer)
        finally:
            self._leave()

    def __del__(self) -> None:
        with suppress(AttributeError):  # broken off while it was made
            self._leave()

    def _leave(self) -> None:
        with self._lock:
            had_place, self._has_place = self._has_place, False
        if had_place:
            _places.release()
