"""Requests that no library would send, byte by byte, to the server that serves everybody."""

import json
import re
import socket
from contextlib import ExitStack
from typing import NamedTuple

import pytest

from tests.portal import Portal

pytestmark = pytest.mark.contract

ME = "/iam/users/me"
BRACKETS = b"[" * 100_000


class Answer(NamedTuple):
    status: int
    body: str


@pytest.fixture
def good(portal: Portal) -> str:
    """The header line with the demo's token, which works."""
    found = re.search(r"[0-9]{9}\$[0-9a-f]{72}", portal.demo)
    assert found is not None
    return f"Authorization: APIKey {found[0]}\r\n"


def send(portal: Portal, request: bytes) -> Answer:
    host, _, port = portal.url.removeprefix("http://").partition(":")
    answer = b""
    with socket.create_connection((host, int(port)), timeout=60) as connection:
        connection.sendall(request)
        while received := connection.recv(65_536):
            answer += received
    head, _, body = answer.partition(b"\r\n\r\n")
    return Answer(int(head.split(b" ")[1]), body.decode())


def ask(
    portal: Portal, lines: str, *, target: str = ME, method: str = "GET", body: bytes = b""
) -> Answer:
    host = portal.url.removeprefix("http://")
    head = f"{method} {target} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n{lines}\r\n"
    return send(portal, head.encode("latin-1") + body)


CHUNKED = "Transfer-Encoding: chunked\r\nContent-Type: application/json\r\n"


def chunks(body: bytes, size: int = 7) -> bytes:
    parts = [body[start : start + size] for start in range(0, len(body), size)]
    return b"".join(b"%x\r\n%s\r\n" % (len(part), part) for part in parts) + b"0\r\n\r\n"


def test_change_in_chunks_is_made(portal: Portal, good: str) -> None:
    before = json.loads(ask(portal, good).body)
    target = f"/iam/users/{before['id']}"
    for name in ("Chunky", before["name"]):
        body = chunks(json.dumps({"name": name}).encode())
        answer = ask(portal, good + CHUNKED, target=target, method="PATCH", body=body)
        assert answer.status == 200
        assert json.loads(ask(portal, good).body)["name"] == name


def test_sign_in_in_chunks_is_read(portal: Portal) -> None:
    body = chunks(json.dumps({"username": "a@example.com", "password": "x"}).encode())
    answer = ask(portal, CHUNKED, target="/iam/auth/jwt/login", method="POST", body=body)
    assert (answer.status, "No active account" in answer.body) == (400, True)


def test_introspection_in_chunks_is_answered_or_refused_with_a_sentence(
    portal: Portal, good: str
) -> None:
    """Nothing tells where a form ends; JSON does."""
    said = portal.shell.command("issue_verifier", "Chunks")
    (verifier,) = re.findall(r"verifier_\w+", said)
    token = good.split()[-1]
    form = CHUNKED.replace("application/json", "application/x-www-form-urlencoded")
    caller, introspect = f"Authorization: Bearer {verifier}\r\n", "/iam/auth/introspect"

    batch = ask(
        portal, caller + CHUNKED, target=f"{introspect}/batch", method="POST",
        body=chunks(json.dumps([token]).encode()),
    )  # fmt: skip
    one = ask(
        portal, caller + form, target=introspect, method="POST",
        body=chunks(f"token={token}".encode()),
    )  # fmt: skip

    assert [each["active"] for each in json.loads(batch.body)] == [True]
    assert (one.status, "Content-Length" in json.loads(one.body)["message"]) == (411, True)


@pytest.mark.parametrize("target", [ME, "/sign-in/"])
def test_too_large_body_in_chunks_is_refused(portal: Portal, good: str, target: str) -> None:
    body = chunks(b"x" * 300_000, size=50_000)
    assert ask(portal, good + CHUNKED, target=target, method="POST", body=body).status == 413


def test_coding_that_is_not_understood_is_refused(portal: Portal, good: str) -> None:
    lines = good + CHUNKED.replace("chunked", "gzip, chunked")
    assert ask(portal, lines, method="POST", body=chunks(b"{}")).status == 411


def test_verification_looks_at_no_body(portal: Portal, good: str) -> None:
    verify = "/iam/auth/verify"
    for lines, body in ((CHUNKED, chunks(b"x" * 9)), ("Content-Length: 5\r\n", b"hello")):
        assert ask(portal, good + lines, target=verify, method="PUT", body=body).status == 200


def test_invisible_character_behind_a_token_is_told(portal: Portal, good: str) -> None:
    for behind in ("\u200b", "\ufeff", "\xa0"):
        lines = good.rstrip() + behind.encode().decode("latin-1") + "\r\n"
        answer = ask(portal, lines, target="/iam/auth/verify")
        assert (answer.status, json.loads(answer.body)["code"]) == (401, "malformed")


def test_one_good_header_is_enough(portal: Portal, good: str) -> None:
    assert ask(portal, good).status == 200


@pytest.mark.parametrize("other", ["APIKey x", "Bearer x", "Basic x", ""])
@pytest.mark.parametrize("order", ["{good}{other}", "{other}{good}"])
def test_of_two_headers_none_opens_anything(
    portal: Portal, good: str, other: str, order: str
) -> None:
    lines = order.format(good=good, other=f"Authorization: {other}\r\n")
    assert ask(portal, lines).status == 401


def test_not_even_the_same_header_twice(portal: Portal, good: str) -> None:
    assert ask(portal, good + good).status == 401


def test_header_that_is_folded_is_refused(portal: Portal, good: str) -> None:
    assert ask(portal, good.replace("APIKey ", "APIKey\r\n ")).status == 400


@pytest.mark.parametrize("byte", ["\0", "\x07", "\xff", "\x7f"])
def test_header_with_a_stray_byte_is_refused(portal: Portal, good: str, byte: str) -> None:
    assert ask(portal, good.replace("\r\n", f"{byte}\r\n")).status in (400, 401)


@pytest.mark.parametrize(
    "lines", ["".join(f"X{number}: a\r\n" for number in range(1000)), f"X: {'a' * 2_000_000}\r\n"]
)
def test_headers_beyond_measure_are_refused(portal: Portal, good: str, lines: str) -> None:
    assert ask(portal, lines + good).status in (400, 431)


@pytest.mark.parametrize("length", [100_000, 1_000_000])
def test_address_beyond_measure_is_refused(portal: Portal, good: str, length: int) -> None:
    assert ask(portal, good, target=f"{ME}?{'a' * length}").status in (414, 431)


@pytest.mark.parametrize(
    ("method", "target", "status"),
    [
        ("BREW", ME, 405),
        ("TRACE", ME, 405),
        ("GET", "/iam/%FF%FE", 404),
        ("GET", "/iam/\xff", 400),
        ("GET", "/iam/../healthz", 404),
        ("GET", "//iam/users/me", 404),
        ("GET", "/iam/users/me%00", 404),
        ("OPTIONS", "*", 404),
        ("CONNECT", "localhost:1", 403),
    ],
)
def test_odd_methods_and_addresses_are_refused(
    portal: Portal, good: str, method: str, target: str, status: int
) -> None:
    assert ask(portal, good, method=method, target=target).status == status


@pytest.mark.parametrize("host", ["", "Host: evil.example\r\n", "Host: \r\n", "Host: a b\r\n"])
def test_host_that_is_not_ours_is_refused(portal: Portal, good: str, host: str) -> None:
    request = f"GET {ME} HTTP/1.1\r\nConnection: close\r\n{host}{good}\r\n"
    assert send(portal, request.encode()).status == 400


def test_charset_that_python_alone_knows_is_no_fault_of_ours(portal: Portal, good: str) -> None:
    lines = f"{good}Content-Type: text/plain; charset=rot13\r\n"
    assert ask(portal, lines, target=f"{ME}?role=Users").status == 200


@pytest.mark.parametrize("length", ["-1", "x", "99999999999999999999"])
def test_length_that_is_none_is_refused(portal: Portal, good: str, length: str) -> None:
    lines = f"{good}Content-Type: application/json\r\nContent-Length: {length}\r\n"
    answer = ask(portal, lines, method="POST", target="/iam/clients/1/tokens")
    assert answer.status in (400, 413)


def test_deep_json_is_refused_on_a_real_stack(portal: Portal, good: str) -> None:
    """Worker threads have smaller stacks than the one that runs tests."""
    lines = f"{good}Content-Type: application/json\r\nContent-Length: {len(BRACKETS)}\r\n"
    answer = ask(portal, lines, method="POST", target="/iam/clients/1/tokens", body=BRACKETS)
    assert answer.status == 400
    assert "nested too deeply" in answer.body


@pytest.mark.parametrize("size", [1_000_000, 20_000_000])
def test_huge_body_is_refused_by_its_size(portal: Portal, good: str, size: int) -> None:
    lines = f"{good}Content-Type: application/json\r\nContent-Length: {size}\r\n"
    answer = ask(portal, lines, method="POST", target="/iam/clients/1/tokens", body=b" " * 1000)
    assert answer.status == 413
    assert "The body is too large." in answer.body


def test_many_slow_bodies_hold_up_no_request_without_one(portal: Portal, good: str) -> None:
    """More than the server has threads; none of them ends before this test does."""
    host, _, port = portal.url.removeprefix("http://").partition(":")
    head = f"POST /sign-in/ HTTP/1.1\r\nHost: {host}:{port}\r\nContent-Length: 100\r\n\r\nx"
    with ExitStack() as slow:
        for _number in range(40):
            connection = slow.enter_context(socket.create_connection((host, int(port)), timeout=60))
            connection.sendall(head.encode())
        for _time in range(3):
            assert ask(portal, good, target="/iam/auth/verify").status == 200
            assert ask(portal, good).status == 200
        told = connection.recv(65_536)
    assert told.startswith(b"HTTP/1.1 503")
    body = b"login=a%40example.com"
    form = f"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {len(body)}\r\n"
    while (answer := ask(portal, form, target="/sign-in/", method="POST", body=body)).status == 503:
        pass  # those who have left are about to be noticed
    assert answer.status == 403  # it lacks the cookie of forms
