"""What the shipped nginx asks the other web, and what it does not."""

import contextlib
import http.client
import os
import subprocess
import tempfile
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.deploy.shipped_nginx import proxy
from tests.documentation.blocks import block_at

pytestmark = pytest.mark.nginx
UPSTREAMS = ("webs-of-units.conf", "webs-of-compose.conf")
SAYS_503, HANGS_UP, ANSWERS = 503, 0, 200


class Web(ThreadingHTTPServer):
    """Answers all with this status, or hangs up on it; remembers what it was asked."""

    def __init__(self, status: int) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.status, self.asked = status, list[str]()

    def stop(self) -> None:
        self.shutdown()
        self.server_close()


class _Handler(BaseHTTPRequestHandler):
    server: Web

    def do_GET(self) -> None:
        self.server.asked.append(self.command)
        if self.server.status != HANGS_UP:
            self.send_response(self.server.status)
            self.send_header("Retry-After", "5")
            self.end_headers()

    def do_POST(self) -> None:
        self.do_GET()

    def log_message(self, *_arguments: Any) -> None:
        pass


class Site(NamedTuple):
    """nginx, and its two webs."""

    port: int
    webs: tuple[Web, Web]

    def ask(self, method: str) -> tuple[int, str | None]:
        """The status, and when to come again."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        with contextlib.closing(connection):
            connection.request(method, "/iam/auth/introspect")
            answer = connection.getresponse()
            return answer.status, answer.headers["Retry-After"]

    def asked(self) -> list[str]:
        return [*self.webs[0].asked, *self.webs[1].asked]


@contextlib.contextmanager
def site(first: int, second: int, upstream: str = UPSTREAMS[0]) -> Iterator[Site]:
    with contextlib.ExitStack() as stack:
        webs = Web(first), Web(second)
        for web in webs:
            threading.Thread(target=web.serve_forever, daemon=True).start()
            stack.callback(web.stop)
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        ports = webs[0].server_port, webs[1].server_port
        yield Site(stack.enter_context(proxy(*ports, folder, upstream)), webs)


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_web_that_refuses_is_passed_over(method: str) -> None:
    with site(ANSWERS, ANSWERS) as it:
        it.webs[0].stop()

        statuses = [it.ask(method)[0] for _time in range(4)]

    assert statuses == [200] * 4
    assert it.asked() == [method] * 4


def test_question_that_got_no_answer_is_asked_again() -> None:
    with site(HANGS_UP, ANSWERS) as it:
        statuses = [it.ask("GET")[0] for _time in range(4)]

    assert statuses == [200] * 4


def test_deed_that_got_no_answer_is_not_done_again() -> None:
    with site(HANGS_UP, HANGS_UP) as it:
        assert it.ask("POST")[0] == 502

    assert it.asked() == ["POST"]


@pytest.mark.parametrize("upstream", UPSTREAMS)
def test_clients_hear_when_to_come_again_while_the_database_is_away(upstream: str) -> None:
    with site(SAYS_503, SAYS_503, upstream) as it:
        answers = [it.ask("GET") for _time in range(4)]

    assert answers == [(503, "5")] * 4
    assert it.asked() == ["GET"] * 4


def test_hook_of_the_page_brings_a_certificate_to_nginx(tmp_path: Path) -> None:
    """As certbot runs it at a renewal, and the reader for the first one."""
    made = tmp_path / "letsencrypt" / "live" / "tokens.example.com"
    for folder in (made, tmp_path / "letsencrypt/renewal-hooks/deploy", tmp_path / "tls"):
        folder.mkdir(parents=True)
    (made / "fullchain.pem").write_text("chain")
    (made / "privkey.pem").write_text("key")
    for program in ("nginx", "systemctl"):
        (tmp_path / program).write_text(f'#!/bin/sh\necho {program} "$@" >> {tmp_path}/log\n')
        (tmp_path / program).chmod(0o755)
    block = block_at("docs/operations/install.md: cat > /etc/letsencrypt/renewal-hooks/deploy")
    places = {"/etc/letsencrypt": str(tmp_path / "letsencrypt"), "/etc/permatoken": str(tmp_path)}

    subprocess.run(
        ["bash", "-euc", block.filled(places, {})],
        env={"PATH": f"{tmp_path}:{os.environ['PATH']}"},
        check=True,
    )

    assert (tmp_path / "tls" / "certificate.pem").read_text() == "chain"
    assert (tmp_path / "tls" / "key.pem").read_text() == "key"
    assert (tmp_path / "log").read_text() == "nginx -t\nsystemctl reload nginx\n"
