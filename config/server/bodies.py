"""Reads bodies of which the length is not announced (`Transfer-Encoding: chunked`).

Django reads as much of a body as its length says, and without one nothing: a change would be
answered as done, and not be made.
"""

import json
from collections.abc import Iterable
from http import HTTPStatus
from io import BytesIO
from typing import Any

from django.conf import settings

from config.server.responses import WSGIApplication, respond

LENGTH_REQUIRED = (
    "Send the length of the body in the header Content-Length: it cannot be read without."
)
READS_NO_BODY = "/iam/auth/verify"
CHUNKED = "chunked"


def read_chunked(serve: WSGIApplication) -> WSGIApplication:
    """Give every body a length. A server that decodes chunks and marks their end (granian does) is
    read up to the limit of all bodies; from any other the body is refused with 411."""

    def serve_with_length(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        coding = environ.get("HTTP_TRANSFER_ENCODING") or _coding_of_http_2(environ)
        if not coding or environ.get("PATH_INFO") == READS_NO_BODY:
            return serve(environ, start_response)
        if coding.strip().lower() != CHUNKED or not environ.get("wsgi.input_terminated"):
            return _length_required(environ, start_response)
        body = _read(environ["wsgi.input"], most=settings.DATA_UPLOAD_MAX_MEMORY_SIZE)
        environ["wsgi.input"], environ["CONTENT_LENGTH"] = BytesIO(body), str(len(body))
        return serve(environ, start_response)

    return serve_with_length


def _coding_of_http_2(environ: dict[str, Any]) -> str | None:
    """HTTP/2 has no header for it: a body without a length comes in parts there, too. Whether there
    is one only its end tells."""
    is_http_2 = str(environ.get("SERVER_PROTOCOL", "")).startswith("HTTP/2")
    is_open = not environ.get("CONTENT_LENGTH") and bool(environ.get("wsgi.input_terminated"))
    return CHUNKED if is_http_2 and is_open else None


def _read(stream: Any, *, most: int) -> bytes:
    """The body, or one byte more than is permitted: then Django refuses it for its length."""
    body = b""
    while len(body) <= most and (part := stream.read(most + 1 - len(body))):
        body += part
    return body


def _length_required(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    is_api = environ.get("PATH_INFO", "").startswith("/iam/")
    kind = "application/json" if is_api else "text/plain; charset=utf-8"
    text = json.dumps({"message": LENGTH_REQUIRED}) if is_api else f"{LENGTH_REQUIRED}\n"
    return respond(environ, start_response, HTTPStatus.LENGTH_REQUIRED, kind=kind, text=text)
