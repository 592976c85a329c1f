"""Bodies without an announced length: read whole, or refused, and never taken for empty."""

import json
from io import BytesIO
from typing import Any

import pytest
from django.conf import settings

from config.server.bodies import LENGTH_REQUIRED, read_chunked
from tests.apitokens.verification.test_fast_path import Said, say

MOST = settings.DATA_UPLOAD_MAX_MEMORY_SIZE


class Drops(BytesIO):
    """A stream that comes bit by bit, and counts what was read of it."""

    def read(self, size: int | None = -1, /) -> bytes:
        return super().read(min(size, 1000) if size and size > 0 else size)


def environ(body: bytes, path: str = "/iam/users/me", **facts: Any) -> dict[str, Any]:
    return {
        "REQUEST_METHOD": "PATCH",
        "PATH_INFO": path,
        "HTTP_TRANSFER_ENCODING": "chunked",
        "wsgi.input": Drops(body),
        "wsgi.input_terminated": True,
        **facts,
    }


def seen(asked: dict[str, Any]) -> tuple[str | None, bytes]:
    """The length and the body that Django is given."""
    found: list[Any] = []

    def serve(given: dict[str, Any], start_response: Any) -> list[bytes]:
        found.extend((given.get("CONTENT_LENGTH"), given["wsgi.input"].read()))
        start_response("200 OK", [])
        return []

    assert say(read_chunked(serve), asked).status == "200 OK"
    return found[0], found[1]


def refused(asked: dict[str, Any]) -> Said:
    return say(read_chunked(lambda *_: pytest.fail("Django was asked")), asked)


@pytest.mark.parametrize("body", [b"", b"{}", b"x" * 2_500, b"x" * MOST])
@pytest.mark.parametrize("coding", ["chunked", "Chunked", " chunked "])
def test_body_in_chunks_has_a_length(body: bytes, coding: str) -> None:
    assert seen(environ(body, HTTP_TRANSFER_ENCODING=coding)) == (str(len(body)), body)


def http_2(body: bytes, **facts: Any) -> dict[str, Any]:
    """A request of HTTP/2, which has no header for the coding."""
    asked = environ(body, SERVER_PROTOCOL="HTTP/2", **facts)
    del asked["HTTP_TRANSFER_ENCODING"]
    return asked


def test_body_of_http_2_without_a_length_has_one() -> None:
    assert seen(http_2(b"hello")) == ("5", b"hello")
    assert seen(http_2(b"hello", CONTENT_LENGTH="5")) == ("5", b"hello")
    assert seen(http_2(b"", REQUEST_METHOD="GET"))[1] == b""


def test_request_of_http_2_is_served_by_a_server_that_marks_no_end() -> None:
    asked = http_2(b"", REQUEST_METHOD="GET")
    del asked["wsgi.input_terminated"]
    assert seen(asked) == (None, b"")


@pytest.mark.parametrize("length", ["3", "x", "", "999999999"])
def test_chunks_count_more_than_a_length_beside_them(length: str) -> None:
    assert seen(environ(b"hello", CONTENT_LENGTH=length)) == ("5", b"hello")


def test_no_more_is_read_than_is_permitted() -> None:
    asked = environ(b"x" * (MOST + 100_000))
    stream = asked["wsgi.input"]
    assert seen(asked)[0] == str(MOST + 1)
    assert stream.tell() == MOST + 1


@pytest.mark.parametrize(
    "facts",
    [
        {"wsgi.input_terminated": False},
        {"HTTP_TRANSFER_ENCODING": "gzip, chunked"},
        {"HTTP_TRANSFER_ENCODING": "identity"},
        {"HTTP_TRANSFER_ENCODING": "xchunked"},
    ],
)
def test_body_that_cannot_be_read_is_refused_with_a_sentence(facts: dict[str, Any]) -> None:
    call, page = refused(environ(b"{}", **facts)), refused(environ(b"", "/sign-in/", **facts))
    assert call.status == page.status == "411 Length Required"
    assert json.loads(call.body) == {"message": LENGTH_REQUIRED}
    assert page.body.decode().strip() == LENGTH_REQUIRED


def test_body_with_a_length_is_left_alone() -> None:
    stream = BytesIO(b"abc")
    asked = {"REQUEST_METHOD": "POST", "CONTENT_LENGTH": "3", "wsgi.input": stream}
    assert seen(asked) == ("3", b"abc")


def test_body_that_nobody_looks_at_is_not_waited_for() -> None:
    asked = environ(b"x" * 5, "/iam/auth/verify")
    stream = asked["wsgi.input"]
    say(read_chunked(lambda _environ, start: start("200 OK", []) or []), asked)
    assert stream.tell() == 0
