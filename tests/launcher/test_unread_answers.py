"""Strangers who ask and read no answer keep nobody else from being answered."""

import http.client
import re
import socket
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing
from typing import Any
from urllib.parse import urlsplit

import pytest

from config.server import responses
from config.server.responses import MOST_SENDING, MOST_WHOLE, send_whole
from tests.config.fast_path.test_verify import say
from tests.portal import served_portal

THREADS = 4


class Pieces:
    """An answer in pieces, which counts what was asked of it."""

    def __init__(self, number: int, size: int) -> None:
        self.left, self.piece, self.is_closed = number, b"x" * size, False

    def __iter__(self) -> Iterator[bytes]:
        while self.left:
            self.left -= 1
            yield self.piece

    def close(self) -> None:
        self.is_closed = True


def answered(
    pieces: Pieces, headers: Sequence[tuple[str, str]] = (("X-Kind", "file"),)
) -> tuple[Any, list[Any]]:
    def serve(_environ: dict[str, Any], start_response: Any) -> Pieces:
        start_response("200 OK", [*headers])
        return pieces

    told: list[Any] = []
    answer = send_whole(serve)({}, lambda *given: told.append(given))
    return answer, told


def test_answer_of_common_size_is_handed_over_in_one_piece_and_closed() -> None:
    pieces = Pieces(3, 1000)
    answer, told = answered(pieces)
    assert (answer, told) == ([b"x" * 3000], [("200 OK", [("X-Kind", "file")])])
    assert pieces.is_closed


def test_file_that_takes_time_to_make_is_sent_before_it_is_whole(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(responses, "FILE_SECONDS", -1)  # any time is too long
    pieces = Pieces(3, 10)
    answer, _told = answered(pieces, [("Content-Disposition", 'attachment; filename="a.csv"')])
    assert (next(answer), pieces.left) == (b"x" * 10, 2)
    answer.close()
    assert pieces.is_closed
    assert answered(Pieces(3, 10))[0] == [b"x" * 30]  # what is no file waits for its end


def test_few_large_answers_are_sent_at_once_and_each_makes_room_when_it_ends() -> None:
    def large() -> Pieces:
        return Pieces(3, MOST_WHOLE)

    sent = [answered(large())[0] for _each in range(MOST_SENDING)]
    refused = large()
    _answer, told = answered(refused)
    assert told[0][0].startswith("503")
    assert ("Retry-After", responses.RETRY_AFTER) in told[0][1]
    assert refused.is_closed
    assert len(b"".join(sent.pop())) == 3 * MOST_WHOLE  # read to its end
    sent.pop().close()  # given up
    sent.clear()  # forgotten
    again = [answered(large()) for _each in range(MOST_SENDING)]
    assert [told[0][0] for _answer, told in again] == ["200 OK"] * MOST_SENDING


def test_fault_while_an_answer_is_made_is_a_fault_of_the_request() -> None:
    def serve(_environ: dict[str, Any], start_response: Any) -> Iterator[bytes]:
        start_response("200 OK", [])
        yield b"begun"
        raise LookupError

    with pytest.raises(LookupError):
        say(send_whole(serve), {})


def test_verification_goes_on_while_strangers_read_no_answer(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """More of them than there are threads, each with many requests that it sends ahead."""
    server = (
        *("granian", "--interface", "wsgi", "--http", "1", "--host", "127.0.0.1"),
        *("--port", "{port}", "--blocking-threads", str(THREADS), "config.wsgi:application"),
    )
    data = tmp_path_factory.mktemp("unread")
    with served_portal(data, server=server, WEB_THREADS=str(THREADS)) as portal:
        netloc = urlsplit(portal.url).netloc

        def get(path: str) -> tuple[int, bytes]:
            with closing(http.client.HTTPConnection(netloc, timeout=20)) as connection:
                connection.request("GET", path)
                answer = connection.getresponse()
                return answer.status, answer.read()

        named = re.search(rb'rel="stylesheet" href="([^"]+)"', get("/sign-in/")[1])
        assert named is not None
        asked = f"GET {named[1].decode()} HTTP/1.1\r\nHost: {netloc}\r\n\r\n".encode() * 60
        host, _colon, port = netloc.partition(":")
        with ExitStack() as strangers:
            for _each in range(4 * THREADS):
                stranger = strangers.enter_context(socket.socket())
                stranger.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
                stranger.connect((host, int(port)))
                stranger.sendall(asked)
            assert [get("/iam/auth/verify")[0] for _each in range(40)] == [401] * 40
