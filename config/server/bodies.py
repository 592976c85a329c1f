"""Reads bodies before Django is asked: those of which the length is not announced, and slow ones.

Django reads as much of a body as its length says, and without one (`Transfer-Encoding: chunked`)
nothing: a change would be answered as done, and not be made.

And it waits for a body as long as the client likes, with a thread of the server, of which there are
few. A server's own read cannot be interrupted. So another thread reads, the request's waits for it
no longer than `BODY_SECONDS`, and few requests may wait longer than a moment at once: what has no
body, verification above all, is served meanwhile. Who reads for a client that never ends goes on
until it leaves, and costs nobody else anything; of those there are so many at most.
"""

import json
import threading
from collections.abc import Iterable
from http import HTTPStatus
from io import BytesIO
from queue import SimpleQueue
from typing import Any

from django.conf import settings

from config.server.responses import WSGIApplication, respond

LENGTH_REQUIRED = (
    "Send the length of the body in the header Content-Length: it cannot be read without."
)
TOO_SLOW = "The body of the request did not arrive in time. Send it again, on a faster connection."
TOO_MANY = "Many requests are being received just now. Nothing has changed: try again in a second."
SOON = 0.1
"""Seconds. Most bodies come with their heads: whoever waits no longer than this, on a busy machine
too, takes nobody's place."""
BODY_SECONDS = 10.0
MOST_WAITING = 6
"""Requests that wait longer for their bodies; together with passwords that are hashed they leave a
few of the threads that serve requests (WEB_THREADS) to others."""
MOST_READING = 64
"""Threads that read, also for requests that no longer wait."""
RETRY_AFTER = "1"
READS_NO_BODY = "/iam/auth/verify"
CHUNKED = "chunked"


class _NotRead(Exception):
    """The body was not received; `status` and `sentence` say why."""

    def __init__(self, status: HTTPStatus, sentence: str) -> None:
        super().__init__(sentence)
        self.status, self.sentence = status, sentence


def read_bodies(serve: WSGIApplication) -> WSGIApplication:
    """Give every body a length, and read it. A server that decodes chunks and marks their end
    (granian does) is read up to the limit of all bodies; from any other the body is refused with
    411. What is announced as longer than the limit is not read: Django refuses it."""
    receiver = _Receiver()

    def serve_with_body(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        coding = environ.get("HTTP_TRANSFER_ENCODING") or _coding_of_http_2(environ)
        length = _length(environ)
        if not (coding or length) or environ.get("PATH_INFO") == READS_NO_BODY:
            return serve(environ, start_response)
        if coding and (
            coding.strip().lower() != CHUNKED or not environ.get("wsgi.input_terminated")
        ):
            return _refuse(environ, start_response, HTTPStatus.LENGTH_REQUIRED, LENGTH_REQUIRED)
        most = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
        if not coding and length > most:
            return serve(environ, start_response)
        try:
            body = receiver.receive(environ["wsgi.input"], most + 1 if coding else length)
        except _NotRead as reason:
            return _refuse(environ, start_response, reason.status, reason.sentence)
        environ["wsgi.input"] = BytesIO(body)
        if coding:
            environ["CONTENT_LENGTH"] = str(len(body))
        return serve(environ, start_response)

    return serve_with_body


class _Receiver:
    """Waits for bodies: for those that do not come soon in few threads, and not for ever."""

    def __init__(self) -> None:
        self._waiting = threading.BoundedSemaphore(MOST_WAITING)
        self._readers = _Readers(MOST_READING)

    def receive(self, stream: Any, most: int) -> bytes:
        """The body. Raises `_NotRead`, and what the server raises."""
        body = self._readers.begin(stream, most)
        if not body.has_ended_within(SOON):
            if not self._waiting.acquire(blocking=False):
                raise _NotRead(HTTPStatus.SERVICE_UNAVAILABLE, TOO_MANY)
            try:
                if not body.has_ended_within(BODY_SECONDS):
                    raise _NotRead(HTTPStatus.REQUEST_TIMEOUT, TOO_SLOW)
            finally:
                self._waiting.release()
        return body.received()


class _Body:
    """A body that is being read. The lock is open when that has ended."""

    def __init__(self, stream: Any, most: int) -> None:
        self.stream, self.most = stream, most
        self.data = b""
        self.error: Exception | None = None
        self.ended = threading.Lock()
        self.ended.acquire()

    def read(self) -> None:
        try:
            self.data = _read(self.stream, most=self.most)
        except Exception as error:  # the request's thread raises it
            self.error = error

    def has_ended_within(self, seconds: float) -> bool:
        return self.ended.acquire(timeout=seconds)

    def received(self) -> bytes:
        """What has come. Raises what the server raised."""
        if self.error is not None:
            raise self.error
        return self.data


class _Readers:
    """Threads that read bodies, as many as are needed at once. They end with the process, whatever
    they wait for."""

    def __init__(self, most: int) -> None:
        self._most, self._busy, self._started = most, 0, 0
        self._lock = threading.Lock()
        self._queue: SimpleQueue[_Body] = SimpleQueue()

    def begin(self, stream: Any, most: int) -> _Body:
        """Have the body read. Raises `_NotRead` if too many are."""
        self._have_one_more()
        body = _Body(stream, most)
        self._queue.put(body)
        return body

    def _have_one_more(self) -> None:
        """Have a thread for one more body."""
        with self._lock:
            if self._busy == self._most:
                raise _NotRead(HTTPStatus.SERVICE_UNAVAILABLE, TOO_MANY)
            self._busy += 1
            if self._busy <= self._started:
                return
            self._started += 1
        threading.Thread(target=self._run, name="body-reader", daemon=True).start()

    def _run(self) -> None:
        while True:
            body = self._queue.get()
            body.read()
            with self._lock:
                self._busy -= 1
            body.ended.release()


def _length(environ: dict[str, Any]) -> int:
    """The announced length; 0 for none, and for what Django will take for none."""
    text = environ.get("CONTENT_LENGTH") or "0"
    return int(text) if text.isascii() and text.isdecimal() else 0


def _coding_of_http_2(environ: dict[str, Any]) -> str | None:
    """HTTP/2 has no header for it: a body without a length comes in parts there, too. Whether there
    is one only its end tells."""
    is_http_2 = str(environ.get("SERVER_PROTOCOL", "")).startswith("HTTP/2")
    is_open = not environ.get("CONTENT_LENGTH") and bool(environ.get("wsgi.input_terminated"))
    return CHUNKED if is_http_2 and is_open else None


def _read(stream: Any, *, most: int) -> bytes:
    """The body up to so many bytes. For one in chunks that is one more than is permitted: then
    Django refuses it for its length."""
    body = b""
    while len(body) < most and (part := stream.read(most - len(body))):
        body += part
    return body


def _refuse(
    environ: dict[str, Any], start_response: Any, status: HTTPStatus, sentence: str
) -> Iterable[bytes]:
    is_api = environ.get("PATH_INFO", "").startswith("/iam/")
    kind = "application/json" if is_api else "text/plain; charset=utf-8"
    text = json.dumps({"message": sentence}) if is_api else f"{sentence}\n"
    headers = [("Retry-After", RETRY_AFTER)] if status == HTTPStatus.SERVICE_UNAVAILABLE else []
    return respond(environ, start_response, status, kind=kind, text=text, headers=headers)
