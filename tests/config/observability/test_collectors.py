"""Errors and spans reach a collector, and no secret does."""

import contextlib
import gzip
import json
import logging
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import brotli
import pytest
import sentry_sdk
from django.core.exceptions import ImproperlyConfigured
from pytest_django import Settings

from accounts.models import Membership
from config.logs import extras
from config.observability.sentry import start_reporting
from telemetry.context import working_for
from tests.conftest import Issue
from tests.portal import GRANIAN, served_portal

OTLP = "OTEL_EXPORTER_OTLP_ENDPOINT"


_UNPACK = {"gzip": gzip.decompress, "br": brotli.decompress}


class Collector:
    """Keeps what it is sent, by path."""

    def __init__(self) -> None:
        self.received: list[tuple[str, bytes]] = []
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:  # http.server's name
                body = self.rfile.read(int(self.headers["Content-Length"]))
                body = _UNPACK.get(self.headers.get("Content-Encoding", ""), bytes)(body)
                collector.received.append((self.path, body))
                self.send_response(200)
                self.end_headers()
                self.wfile.write(b"{}")

            def log_message(self, *_facts: object) -> None: ...

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self.server.server_address[1]

    def all(self, path: str) -> bytes:
        return b"".join(body for found, body in self.received if found.startswith(path))


@contextmanager
def listening() -> Iterator[Collector]:
    collector = Collector()
    threading.Thread(target=collector.server.serve_forever, daemon=True).start()
    yield collector
    collector.server.shutdown()
    collector.server.server_close()


@pytest.fixture
def collector() -> Iterator[Collector]:
    with listening() as running:
        yield running


@pytest.mark.django_db
def test_error_is_reported_without_a_secret(
    collector: Collector, settings: Settings, user: Membership, issue: Issue
) -> None:
    settings.SENTRY_DSN = f"http://key@127.0.0.1:{collector.port}/1"
    key = issue(user).key
    start_reporting()
    try:
        with working_for("a-request-7"):
            try:
                password = "hunter2-hunter2"
                raise ValueError(f"{key.spell()} {settings.SECRET_KEY}" + password[:0])
            except ValueError:
                logging.getLogger("a.part").exception("It failed for %s", key.spell())
        sentry_sdk.flush(5)
    finally:
        sentry_sdk.get_global_scope().set_client(None)

    sent = collector.all("/api/1/envelope/")
    assert b"ValueError" in sent
    assert b"a-request-7" in sent
    assert b"permatoken@" in sent
    for secret in (key.secret, settings.SECRET_KEY, password):
        assert secret.encode() not in sent


def test_without_an_address_nothing_is_loaded(settings: Settings) -> None:
    settings.SENTRY_DSN = ""
    start_reporting()
    assert not sentry_sdk.get_client().is_active()


def test_address_without_its_package_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extras, "find_spec", lambda _name: None)
    with pytest.raises(ImproperlyConfigured, match="SENTRY_DSN must be left out"):
        extras.parse_dsn("https://key@sentry.example.com/1")
    with pytest.raises(ImproperlyConfigured, match="requirements-extras"):
        extras.parse_collector("http://collector.internal:4318")


def test_served_portal_sends_spans_and_writes_json(collector: Collector, tmp_path: Path) -> None:
    environment = {
        "LOG_FORMAT": "json",
        OTLP: f"http://127.0.0.1:{collector.port}",
        "OTEL_BSP_SCHEDULE_DELAY": "100",
    }
    server = (*GRANIAN, "--log-level", "error", "config.wsgi:application")
    with served_portal(tmp_path / "portal", server=server, **environment) as portal:
        token = portal.demo.partition("APIKey ")[2].split("'")[0]
        for path in ("/iam/clients/me", "/invitations/a-secret-link-of-somebody/"):
            request = urllib.request.Request(
                portal.url + path, headers={"Authorization": f"APIKey {token}"}
            )
            with contextlib.suppress(urllib.error.HTTPError):
                urllib.request.urlopen(request, timeout=20).close()
        deadline = time.monotonic() + 20
        while b"iam/clients/me" not in collector.all("/v1/traces") and time.monotonic() < deadline:
            time.sleep(0.1)
    spans = collector.all("/v1/traces")
    assert b"GET iam/clients/me" in spans
    written = (portal.data_dir / "web.log").read_text()
    lines = [json.loads(line) for line in written.splitlines() if line.startswith("{")]
    (line,) = [each for each in lines if each.get("route") == "iam/clients/me"]
    assert line["status"] == 200
    assert line["token"] == int(token.partition("$")[0])
    assert line["user"]
    assert line["request_id"].encode() in spans
    for text in (written, spans.decode("latin-1")):
        assert token.partition("$")[2] not in text
        assert "a-secret-link" not in text
