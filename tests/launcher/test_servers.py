"""The portal under a WSGI server that is not granian, and how its static files are served."""

import http.client
import re
from collections.abc import Iterator
from contextlib import closing
from typing import NamedTuple
from urllib.parse import urlsplit

import pytest

from tests.portal import Portal, served_portal

A_YEAR = 365 * 24 * 3600


class Answer(NamedTuple):
    status: int
    headers: http.client.HTTPMessage
    body: bytes


@pytest.fixture(scope="module")
def portal(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Portal]:
    strict = ("tests.launcher.strict_server", "{port}")
    with served_portal(tmp_path_factory.mktemp("strict"), server=strict) as served:
        yield served


def ask(portal: Portal, method: str, path: str, **headers: str) -> Answer:
    with closing(http.client.HTTPConnection(urlsplit(portal.url).netloc, timeout=30)) as connection:
        connection.request(method, path, headers=headers)
        answer = connection.getresponse()
        return Answer(answer.status, answer.msg, answer.read())


def demo_token(portal: Portal) -> str:
    """The token in the line that the demo tells newcomers to try."""
    told = re.search(r"APIKey (\S+?)'", portal.demo)
    assert told is not None
    return told[1]


def stylesheet(portal: Portal) -> str:
    """The address of a style sheet, as a page names it."""
    page = ask(portal, "GET", "/sign-in/").body.decode()
    named = re.search(r'rel="stylesheet" href="([^"]+)"', page)
    assert named is not None
    return named[1]


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
def test_token_is_verified_from_database_and_memory(portal: Portal, method: str) -> None:
    header = f"APIKey {demo_token(portal)}"

    answers = [ask(portal, method, "/iam/auth/verify", Authorization=header) for _ in range(2)]

    assert [answer.status for answer in answers] == [200, 200]
    assert [answer.body for answer in answers] == [b"", b""]


def test_bad_token_is_refused(portal: Portal) -> None:
    answer = ask(portal, "GET", "/iam/auth/verify", Authorization="APIKey nonsense")

    assert (answer.status, b'"malformed"' in answer.body) == (401, True)


@pytest.mark.parametrize("path", ["/iam/users/me", "/sign-in/"])
def test_server_that_reads_no_chunks_refuses_them(portal: Portal, path: str) -> None:
    """In one piece: the server may answer, and close, before it has read what follows the head."""
    netloc = urlsplit(portal.url).netloc
    head = f"POST {path} HTTP/1.1\r\nHost: {netloc}\r\nTransfer-Encoding: chunked\r\n\r\n"
    with closing(http.client.HTTPConnection(netloc, timeout=30)) as connection:
        connection.connect()
        connection.sock.sendall(f"{head}2\r\n{{}}\r\n0\r\n\r\n".encode())
        answer = http.client.HTTPResponse(connection.sock, method="POST")
        answer.begin()
        assert (answer.status, b"Content-Length" in answer.read()) == (411, True)


@pytest.mark.parametrize(
    ("path", "status"),
    [("/sign-in/", 200), ("/", 302), ("/iam/clients/me", 401), ("/nothing", 404)],
)
def test_pages_and_api_are_served(portal: Portal, path: str, status: int) -> None:
    assert ask(portal, "GET", path).status == status


def test_static_files_are_named_by_content_and_kept_for_good(portal: Portal) -> None:
    path = stylesheet(portal)

    rules = ask(portal, "GET", path).headers["Cache-Control"]

    assert re.search(r"\.[0-9a-f]{12}\.css$", path)
    assert "immutable" in rules
    assert int(rules.partition("max-age=")[2].partition(",")[0]) >= A_YEAR


def test_static_files_are_sent_compressed_to_who_can_read_it(portal: Portal) -> None:
    path = stylesheet(portal)

    plain, compressed = (
        ask(portal, "GET", path, **{"Accept-Encoding": coding}) for coding in ("identity", "gzip")
    )

    assert compressed.headers["Content-Encoding"] == "gzip"
    assert len(compressed.body) < len(plain.body)


def test_file_whose_name_may_come_again_is_not_kept_for_good(portal: Portal) -> None:
    path = re.sub(r"\.[0-9a-f]{12}\.css$", ".css", stylesheet(portal))

    rules = ask(portal, "GET", path).headers["Cache-Control"]

    assert "immutable" not in rules
