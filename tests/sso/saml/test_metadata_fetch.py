"""Metadata are fetched from the configured origins only."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from time import sleep

import pytest
from django.core.exceptions import ValidationError
from pytest_django import Settings

from sso.saml import metadata_fetch
from sso.saml.metadata import MAX_BYTES

Answer = Callable[[BaseHTTPRequestHandler], None]


@contextmanager
def server(answer: Answer) -> Iterator[tuple[str, list[str]]]:
    """A real web server: its origin, and the requested paths."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:  # the library's name
            asked.append(self.path)
            answer(self)

        def log_message(self, *_args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        thread = Thread(target=running.serve_forever, daemon=True)
        thread.start()
        yield f"http://127.0.0.1:{running.server_port}", asked
        running.shutdown()
        thread.join()


def says(text: bytes, status: int = 200, **headers: str) -> Answer:
    def act(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        for name, value in headers.items():
            handler.send_header(name, value)
        handler.end_headers()
        handler.wfile.write(text)

    return act


def reason(url: str) -> str:
    with pytest.raises(ValidationError) as refusal:
        metadata_fetch.fetch_metadata(url)
    return str(refusal.value.code)


def test_allowed_origin_is_asked(settings: Settings) -> None:
    with server(says(b"<metadata/>")) as (origin, asked):
        settings.SSO_METADATA_ORIGINS = ["https://idp.example.com", origin]
        assert metadata_fetch.fetch_metadata(f" {origin}/saml/metadata?x=1 ") == b"<metadata/>"
        assert asked == ["/saml/metadata?x=1"]


def test_other_origins_are_not_asked(settings: Settings) -> None:
    with server(says(b"secret")) as (origin, asked):
        settings.SSO_METADATA_ORIGINS = ["https://idp.example.com", f"{origin}0"]
        assert reason(f"{origin}/") == "not_allowed"
        assert asked == []


@pytest.mark.parametrize(
    "url",
    [
        "",
        "idp.example.com",
        "//idp.example.com/",
        "http://idp.example.com/",
        "https://idp.example.com:8443/",
        "https://idp.example.com.evil.example/",
        "https://idp.example.com@evil.example/",
        "https://user@idp.example.com/",
        "https://evil.example/https://idp.example.com/",
        "https://evil.example#idp.example.com/",
        "https://[::1/",
        "https://idp.example.com:port/",
        "file:///etc/passwd",
        "ftp://idp.example.com/",
    ],
)
def test_only_the_origin_itself_is_meant(settings: Settings, url: str) -> None:
    settings.SSO_METADATA_ORIGINS = ["https://idp.example.com"]
    assert reason(url) == "not_allowed"


def test_nothing_is_fetched_unless_the_operator_says_so() -> None:
    assert reason("https://idp.example.com/") == "not_allowed"


def test_origin_is_the_same_in_any_spelling(settings: Settings) -> None:
    with server(says(b"<metadata/>")) as (origin, _asked):
        settings.SSO_METADATA_ORIGINS = [f"{origin}/"]
        assert (
            metadata_fetch.fetch_metadata(f"{origin.upper().replace('HTTP', 'Http')}/x")
            == b"<metadata/>"
        )


def test_redirect_leads_nowhere(settings: Settings) -> None:
    with (
        server(says(b"secret")) as (inner, asked_inside),
        server(says(b"", 302, Location=f"{inner}/")) as (origin, asked),
    ):
        settings.SSO_METADATA_ORIGINS = [origin, inner]
        assert reason(f"{origin}/") == "not_fetched"
        assert (asked, asked_inside) == (["/"], [])


@pytest.mark.parametrize("status", [404, 500])
def test_error_does_not_repeat_the_response(settings: Settings, status: int) -> None:
    with server(says(b"inner words", status)) as (origin, _asked):
        settings.SSO_METADATA_ORIGINS = [origin]
        with pytest.raises(ValidationError) as refusal:
            metadata_fetch.fetch_metadata(f"{origin}/")
        assert "inner" not in str(refusal.value)
        assert str(status) not in str(refusal.value)


def test_refused_connection_gives_the_same_error(settings: Settings) -> None:
    with server(says(b"")) as (origin, _asked):
        pass
    settings.SSO_METADATA_ORIGINS = [origin]
    assert reason(f"{origin}/") == "not_fetched"


@pytest.mark.parametrize("path", ["/a b", "/\u00fc", "/\r\nX: y", "/\0"])
def test_odd_path_gives_the_same_error(settings: Settings, path: str) -> None:
    with server(says(b"<metadata/>")) as (origin, _asked):
        settings.SSO_METADATA_ORIGINS = [origin]
        assert reason(f"{origin}{path}x") == "not_fetched"


def test_endless_answer_is_read_to_a_bearable_length(settings: Settings) -> None:
    def act(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.end_headers()
        try:
            while True:
                handler.wfile.write(b"x" * 65536)
        except OSError:
            return

    with server(act) as (origin, _asked):
        settings.SSO_METADATA_ORIGINS = [origin]
        assert (
            MAX_BYTES
            < len(metadata_fetch.fetch_metadata(f"{origin}/"))
            <= MAX_BYTES + metadata_fetch.CHUNK_BYTES
        )


def test_slow_answer_is_given_up(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metadata_fetch, "TIMEOUT_SECONDS", 0.3)

    def drip(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.end_headers()
        try:
            for _ in range(50):
                handler.wfile.write(b"x")
                sleep(0.05)
        except OSError:
            return

    with server(drip) as (origin, _asked):
        settings.SSO_METADATA_ORIGINS = [origin]
        assert reason(f"{origin}/") == "not_fetched"
