"""Bodies: read whole and in time, or refused, and never taken for empty."""

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from typing import Any

import pytest
from django.conf import settings

from config.server import bodies
from config.server.bodies import LENGTH_REQUIRED, read_bodies, read_length
from tests.config.fast_path.test_verify import Said, say

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

    assert say(read_bodies(serve), asked).status == "200 OK"
    return found[0], found[1]


def refused(asked: dict[str, Any]) -> Said:
    return say(read_bodies(lambda *_: pytest.fail("Django was asked")), asked)


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


@pytest.mark.parametrize("length", ["3", "x", "", "999999999", "9" * 5_000])
def test_chunks_count_more_than_a_length_beside_them(length: str) -> None:
    assert seen(environ(b"hello", CONTENT_LENGTH=length)) == ("5", b"hello")


@pytest.mark.parametrize(("header", "length"), [("0005", 5), ("9" * 5_000, 10**18 - 1)])
def test_length_of_many_digits_is_read(header: str, length: int) -> None:
    assert read_length(header) == length


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


def with_length(stream: Any, length: int = 3) -> dict[str, Any]:
    return {"REQUEST_METHOD": "POST", "CONTENT_LENGTH": str(length), "wsgi.input": stream}


@pytest.mark.parametrize("sent", [b"abc", b"abcdef"])
def test_body_is_read_as_far_as_its_length_says(sent: bytes) -> None:
    assert seen(with_length(Drops(sent))) == ("3", b"abc")


@pytest.mark.parametrize("sent", [b"ab", b""])
def test_body_that_breaks_off_changes_nothing(sent: bytes) -> None:
    """granian does not say that a client has left."""
    answer = refused(with_length(Drops(sent)))
    assert (answer.status, answer.body.decode().strip()) == ("400 Bad Request", bodies.BROKE_OFF)


@pytest.mark.parametrize("kind", ["application/json", "application/merge-patch+json; a=b"])
def test_body_in_chunks_of_which_nothing_came_changes_nothing(kind: str) -> None:
    answer = refused(environ(b"", CONTENT_TYPE=kind))
    assert answer.status == "400 Bad Request"
    assert json.loads(answer.body) == {"message": bodies.BROKE_OFF}


def test_form_in_chunks_is_refused_because_nothing_tells_its_end() -> None:
    form = "application/x-www-form-urlencoded; charset=utf-8"
    assert refused(environ(b"role=3", CONTENT_TYPE=form)).status == "411 Length Required"
    assert seen(environ(b"{}", CONTENT_TYPE="application/json")) == ("2", b"{}")
    assert seen(environ(b"", REQUEST_METHOD="GET", CONTENT_TYPE=form)) == ("0", b"")


PARTS = b'--b\r\nContent-Disposition: form-data; name="role"\r\n\r\n12\r\n--b--\r\n'
MULTIPART = {"CONTENT_TYPE": 'Multipart/form-data; boundary="b"', "REQUEST_METHOD": "POST"}


def test_form_of_parts_in_chunks_is_taken_if_its_end_came() -> None:
    for whole in (PARTS, PARTS.rstrip()):
        assert seen(environ(whole, **MULTIPART)) == (str(len(whole)), whole)
    for length in range(len(PARTS.rstrip())):
        answer = refused(environ(PARTS[:length], **MULTIPART))
        assert answer.status == "400 Bad Request", PARTS[:length]


def test_body_that_is_announced_as_too_long_is_not_read() -> None:
    stream = BytesIO(b"abc")
    asked = with_length(stream, MOST + 1)
    say(read_bodies(lambda _environ, start: start("413 Too Large", []) or []), asked)
    assert stream.tell() == 0


def test_client_that_breaks_off_is_an_error_of_its_request() -> None:
    with pytest.raises(ConnectionResetError):
        refused(with_length(Breaking()))


class Breaking(BytesIO):
    def read(self, _size: int | None = -1, /) -> bytes:
        raise ConnectionResetError


class Endless(BytesIO):
    """A body whose client sends nothing more until it is told to leave."""

    def __init__(self) -> None:
        super().__init__()
        self.leaves, self.is_read = threading.Event(), threading.Event()

    def read(self, _size: int | None = -1, /) -> bytes:
        self.is_read.set()
        self.leaves.wait(60)
        return b""


def test_slow_bodies_keep_nobody_waiting_who_has_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bodies, "_places", bodies.places_for(2))
    served = read_bodies(lambda _environ, start: start("200 OK", []) or [])
    slow = [Endless() for _number in range(2)]
    with ThreadPoolExecutor(2) as threads:
        reads = [threads.submit(say, served, with_length(stream)) for stream in slow]
        for stream in slow:
            assert stream.is_read.wait(30)
        third = BytesIO(b"abc")
        busy = say(served, with_length(third))
        assert (busy.status, dict(busy.headers)["Retry-After"]) == ("503 Service Unavailable", "1")
        assert third.tell() == 0  # granian stands still if it is answered while it is read
        assert say(served, {"REQUEST_METHOD": "GET"}).status == "200 OK"
        for stream in slow:
            stream.leaves.set()
        assert [each.result(30).status for each in reads] == ["400 Bad Request"] * 2
    assert say(served, with_length(BytesIO(b"abc"))).status == "200 OK"


def test_body_that_nobody_looks_at_is_not_waited_for() -> None:
    asked = environ(b"x" * 5, "/iam/auth/verify")
    stream = asked["wsgi.input"]
    say(read_bodies(lambda _environ, start: start("200 OK", []) or []), asked)
    assert stream.tell() == 0
