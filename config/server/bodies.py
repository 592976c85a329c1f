"""Reads bodies before Django is asked: whole, a few at a time, or not at all.

Django reads as much of a body as its length says, and without one (`Transfer-Encoding: chunked`)
nothing: a change would be answered as done, and not be made. So such a body is read here, and gets
a length. But the server does not say whether the last chunk came, or the client broke off. JSON and
multipart have an end of their own, and a part of one is refused. A form (`x-www-form-urlencoded`)
has none: cut off, it is a whole form that says something else ("role=1" of "role=12"). It is
answered with 411. No browser sends one in chunks, and calls of the API send JSON.

And a body is waited for as long as the client likes, with a thread of the server, of which there
are few. A server's own read cannot be interrupted, and granian stands still if a request is
answered whose body is still being read. So few requests may read at once, and others with a body
are turned away meanwhile: what has none, verification above all, is served whatever strangers do.
What bounds the time of a body stands in front: a proxy that reads bodies before it passes them on.
"""

import json
from collections.abc import Iterable
from http import HTTPStatus
from io import BytesIO
from queue import Empty, SimpleQueue
from typing import Any

from django.conf import settings
from django.utils.http import parse_header_parameters

from accounts.throttling.threads import SHARES
from config.server.responses import WSGIApplication, respond

LENGTH_REQUIRED = (
    "Send the length of the body in the Content-Length header: the body can't be read without it."
)
BROKE_OFF = "The request body arrived incomplete. Nothing was changed: send it again."
TOO_MANY = (
    "Too many requests are being received right now. Nothing was changed: try again in a second."
)
MOST_READING = SHARES.reading
"""Requests that read their bodies; together with passwords that are hashed they leave a few of the
threads that serve requests (WEB_THREADS) to others."""
PATIENCE = 0.1
"""Seconds to wait for one of these places: most bodies are there, and read at once."""
MOST_DIGITS = 18
"""Of a length: longer ones are cut, and still longer than any body that is taken."""
RETRY_AFTER = "1"
READS_NO_BODY = "/iam/auth/verify"
CHUNKED = "chunked"
FORM = "application/x-www-form-urlencoded"


def places_for(number: int) -> SimpleQueue[None]:
    """As a semaphore, which takes a reader of a small body longer than the reading."""
    places: SimpleQueue[None] = SimpleQueue()
    for _each in range(number):
        places.put(None)
    return places


_places = places_for(MOST_READING)


class _NotRead(Exception):
    """The body was not received; `status` and `sentence` say why."""

    def __init__(self, status: HTTPStatus, sentence: str) -> None:
        super().__init__(sentence)
        self.status, self.sentence = status, sentence


def read_bodies(serve: WSGIApplication) -> WSGIApplication:
    """Give every body a length, and read it. A server that decodes chunks and marks their end
    (granian does) is read up to the limit of all bodies; from any other the body is refused with
    411. What is announced as longer than the limit is not read: Django refuses it."""

    def serve_with_body(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        coding = environ.get("HTTP_TRANSFER_ENCODING") or _coding_of_http_2(environ)
        length = _length(environ)
        if not (coding or length) or environ.get("PATH_INFO") == READS_NO_BODY:
            return serve(environ, start_response)
        most = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
        if not coding and length > most:
            return serve(environ, start_response)
        try:
            if coding:
                _require_readable(environ, coding)
            body = _read_in_turn(environ, most + 1 if coding else length)
            _require_whole(environ, body, None if coding else length)
            if coding and len(body) <= most:
                _require_last_part(environ, body)
        except _NotRead as reason:
            return _refuse(environ, start_response, reason.status, reason.sentence)
        environ["wsgi.input"] = BytesIO(body)
        if coding:
            environ["CONTENT_LENGTH"] = str(len(body))
        return serve(environ, start_response)

    return serve_with_body


def read_small(environ: dict[str, Any], *, most: int) -> bytes:
    """A body of at most so many bytes, if it came whole and there is a place to read it. Else it is
    empty, and `read_bodies` has to read it. What was read stands in its place."""
    length = _length(environ)
    if not 0 < length <= most:
        return b""
    try:
        _places.get_nowait()
    except Empty:
        return b""
    try:
        body = _read(environ["wsgi.input"], most=length)
    finally:
        _places.put(None)
    environ["wsgi.input"] = BytesIO(body)
    return body if len(body) == length else b""


def read_length(header: str | None) -> int:
    """A length in bytes as a header announces it; 0 for none. Longer than anything if it has more
    digits than Python reads."""
    text = header or "0"
    if not (text.isascii() and text.isdecimal()):
        return 0
    return int(text.lstrip("0")[:MOST_DIGITS] or "0")


def _read_in_turn(environ: dict[str, Any], most: int) -> bytes:
    """Raises `_NotRead` if all places are taken."""
    try:
        _places.get(timeout=PATIENCE)
    except Empty:
        raise _NotRead(HTTPStatus.SERVICE_UNAVAILABLE, TOO_MANY) from None
    try:
        return _read(environ["wsgi.input"], most=most)
    finally:
        _places.put(None)


def _require_readable(environ: dict[str, Any], coding: str) -> None:
    """Raise `_NotRead` if the end of the body cannot be told. The server marks it, but does not say
    whether it came; JSON ends with its last bracket, a form ends anywhere."""
    is_read = coding.strip().lower() == CHUNKED and environ.get("wsgi.input_terminated")
    if not is_read or (_is_sent(environ) and _kind(environ) == FORM):
        raise _NotRead(HTTPStatus.LENGTH_REQUIRED, LENGTH_REQUIRED)


def _require_whole(environ: dict[str, Any], body: bytes, length: int | None) -> None:
    """Raise `_NotRead` if the client broke off. A body in chunks of which nothing came is one, if
    its kind was announced."""
    is_empty = length is None and not body and _is_sent(environ) and _kind(environ)
    if is_empty or (length is not None and len(body) < length):
        raise _NotRead(HTTPStatus.BAD_REQUEST, BROKE_OFF)


def _require_last_part(environ: dict[str, Any], body: bytes) -> None:
    """Raise `_NotRead` if the client broke off a form of several parts. Django takes it as it is:
    without the fields that did not come, and with a part of the last value."""
    kind, parameters = parse_header_parameters(environ.get("CONTENT_TYPE") or "")
    if not (_is_sent(environ) and kind.startswith("multipart/") and "boundary" in parameters):
        return
    end = f"--{parameters['boundary']}--".encode(errors="replace")
    if not body.rstrip(b"\r\n").endswith(end):
        raise _NotRead(HTTPStatus.BAD_REQUEST, BROKE_OFF)


def _is_sent(environ: dict[str, Any]) -> bool:
    return environ.get("REQUEST_METHOD") in ("POST", "PUT", "PATCH")


def _kind(environ: dict[str, Any]) -> str:
    return str(environ.get("CONTENT_TYPE") or "").partition(";")[0].strip().lower()


def _length(environ: dict[str, Any]) -> int:
    """The announced length; 0 for none, and for what Django will take for none."""
    return read_length(environ.get("CONTENT_LENGTH"))


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
