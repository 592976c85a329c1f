"""The cache in front of a site, as its page in docs/ tells it: with a real nginx and our portal."""

import contextlib
import http.client
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import NamedTuple
from urllib.parse import urlsplit

import pytest

from tests.conftest import nginx_path
from tests.documentation.blocks import block_at, blocks_on
from tests.portal import ROOT, Portal, free_port, served_portal

pytestmark = pytest.mark.nginx

CONFIGURATION = ROOT / "examples" / "nginx" / "nginx.conf"
PORTAL, ORIGIN, CACHE = "8000", "8090", "8080"
"""The ports in the example. A test has ports of its own."""

AFTER_A_LINE = "—— next line ——"


class Answer(NamedTuple):
    status: int
    headers: http.client.HTTPMessage
    body: str


class Example(NamedTuple):
    """The three programs of the page, on ports of their own."""

    portal: Portal | None
    cache_port: int

    def ask(self, method: str, path: str, token: str | None = None, **headers: str) -> Answer:
        """Ask the cache."""
        connection = http.client.HTTPConnection("127.0.0.1", self.cache_port, timeout=30)
        if token is not None:
            headers["Authorization"] = f"APIKey {token}"
        with contextlib.closing(connection):
            connection.request(method, path, headers=headers)
            answer = connection.getresponse()
            return Answer(answer.status, answer.msg, answer.read().decode())

    @property
    def environment(self) -> dict[str, str]:
        assert self.portal
        return {
            **{name: value for name, value in os.environ.items() if name != "DATABASE_URL"},
            "DATA_DIR": str(self.portal.data_dir),
            "PORT": str(urlsplit(self.portal.url).port),
            "DJANGO_SETTINGS_MODULE": "config.settings",
        }

    def issue(
        self, role: str, *, account: str = "Example Inc.", issuer: str = "admin@example.com"
    ) -> str:
        """A new token of this role, by the command."""
        assert self.portal
        issued = self.portal.shell.command(
            *("issue_token", "--account", account, "--issuer", issuer),
            *("--role", role, "--name", "Publish script"),
        )
        return issued.strip()


@pytest.fixture(scope="module")
def example(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Example]:
    data_dir = tmp_path_factory.mktemp("portal")
    with (
        served_portal(data_dir, REFUSAL_RATE="20") as portal,
        origin() as origin_port,
        cache(urlsplit(portal.url).port or 0, origin_port) as cache_port,
    ):
        yield Example(portal, cache_port)


@contextlib.contextmanager
def origin() -> Iterator[int]:
    port = free_port()
    block = block_at("docs/purge-behind-nginx.md: python3 examples/nginx/origin.py #")
    command = block.text.partition("#")[0]
    with running(["bash", "-c", f"exec {command} {port}"], port):
        yield port


@contextlib.contextmanager
def cache(portal_port: int, origin_port: int) -> Iterator[int]:
    """nginx with the example's configuration, in a folder that its workers can read."""
    port = free_port()
    text = CONFIGURATION.read_text()
    for example, own in ((PORTAL, portal_port), (ORIGIN, origin_port), (CACHE, port)):
        assert text.count(f"127.0.0.1:{example};") == 1
        text = text.replace(f"127.0.0.1:{example};", f"127.0.0.1:{own};")
    with tempfile.TemporaryDirectory(prefix="permatoken-nginx-") as folder:
        Path(folder).chmod(0o755)  # and so that nginx's workers come to the one below
        configuration = Path(folder, "nginx.conf")
        configuration.write_text(text)
        block = block_at("docs/purge-behind-nginx.md: folder=$(mktemp -d) &&")
        script = block.filled(
            {
                "$PWD/examples/nginx/nginx.conf": str(configuration),
                "\nnginx": f"\nexec {nginx_path()}",
            },
            {},
        )
        with running(["bash", "-euc", f"export TMPDIR={folder}\n{script}"], port):
            yield port


@contextlib.contextmanager
def running(command: list[str], port: int) -> Iterator[None]:
    process = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.DEVNULL)
    try:
        wait_for(port, process)
        yield
    finally:
        process.terminate()
        process.wait(timeout=20)


def wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(OSError):
            http.client.HTTPConnection("127.0.0.1", port, timeout=1).connect()
            return
        time.sleep(0.05)
    raise RuntimeError(f"{process.args!r} does not listen on port {port}.")


def lines_of_the_page() -> list[tuple[str, str]]:
    """The commands that the page shows after a `$`, each with the output that it shows."""
    blocks = blocks_on("docs/purge-behind-nginx.md", "console")
    shown = "".join(each.text for each in blocks).removeprefix("$ ").split("\n$ ")
    return [(command, output.strip()) for command, _, output in (s.partition("\n") for s in shown)]


def said_by_a_shell(commands: list[str], example: Example) -> list[str]:
    """What each of the commands says, in one bash."""
    script = "".join(f"{command}\necho '{AFTER_A_LINE}'\n" for command in commands)
    script = script.replace(f"127.0.0.1:{CACHE}/", f"127.0.0.1:{example.cache_port}/")
    script = script.replace(".venv/bin/python", sys.executable)
    done = subprocess.run(
        ["bash", "-c", script],
        cwd=ROOT,
        env=example.environment,
        check=True,
        capture_output=True,
        text=True,
        timeout=120,
    )
    return [said.strip() for said in done.stdout.split(AFTER_A_LINE)][:-1]


def test_page_tells_what_happens(example: Example) -> None:
    lines = lines_of_the_page()

    said = said_by_a_shell([command for command, _output in lines], example)

    assert said == [output for _command, output in lines]


def test_reading_is_public_and_kept(example: Example) -> None:
    first, second = example.ask("GET", "/read"), example.ask("GET", "/read")

    assert (first.headers["X-Cache"], second.headers["X-Cache"]) == ("MISS", "HIT")
    assert first.body == second.body == "/read, version 1\n"


@pytest.mark.parametrize(
    "role",
    [
        "Purge and Prefetch only (API)",
        "Purge and Prefetch only (API+Web)",
        "Engineers",
        "Administrators",
    ],
)
def test_role_that_is_strong_enough_purges(example: Example, role: str) -> None:
    page = f"/{role.split('(')[-1].strip(')')}"
    example.ask("GET", page)

    purged = example.ask("POST", f"/purge{page}", example.issue(role))

    assert (purged.status, purged.body) == (200, f"{page}, version 2\n")
    assert example.ask("GET", page).body == f"{page}, version 2\n"


def test_role_that_is_too_weak_purges_nothing(example: Example) -> None:
    example.ask("GET", "/weak")

    refused = example.ask("POST", "/purge/weak", example.issue("Users"))

    assert refused.status == 403
    assert example.ask("GET", "/weak").body == "/weak, version 1\n"


def test_token_of_another_account_purges_nothing(example: Example) -> None:
    example.ask("GET", "/foreign")

    foreign = example.issue("Engineers", account="Globex", issuer="admin@globex.example")

    refused = example.ask("POST", "/purge/foreign", foreign)

    assert refused.status == 403
    assert example.ask("GET", "/foreign").body == "/foreign, version 1\n"


@pytest.mark.parametrize("token", [None, "", "nonsense", "771142358$eyJ0eXAiOiJKV"])
def test_nobody_purges_without_a_token(example: Example, token: str | None) -> None:
    example.ask("GET", "/without")

    refused = example.ask("POST", "/purge/without", token)

    assert (refused.status, "WWW-Authenticate" in refused.headers) == (401, True)
    assert example.ask("GET", "/without").body == "/without, version 1\n"


def test_purge_says_whose_token_it_was(example: Example) -> None:
    token = example.issue("Engineers")

    purged = example.ask("POST", "/purge/whose", token)

    assert purged.headers["X-Purged-By"] == token.partition("$")[0]


def test_reading_by_the_purging_address_is_refused(example: Example) -> None:
    token = example.issue("Engineers")

    assert example.ask("GET", "/purge/read-me", token).status == 405


@pytest.mark.parametrize("path", ["/a/../purge/page", "//purge/page", "/%70urge/page"])
def test_address_in_disguise_purges_nothing(example: Example, path: str) -> None:
    example.ask("GET", "/page")

    assert example.ask("POST", path, example.issue("Engineers")).status == 400


def test_question_to_the_portal_is_not_open_to_clients(example: Example) -> None:
    assert example.ask("GET", "/token-may-purge", example.issue("Engineers")).status == 404


def test_pages_with_a_query_are_kept_and_purged_apart(example: Example) -> None:
    example.ask("GET", "/list?page=1")
    example.ask("GET", "/list?page=2")

    example.ask("POST", "/purge/list?page=2", example.issue("Engineers"))

    assert example.ask("GET", "/list?page=1").body == "/list?page=1, version 1\n"
    assert example.ask("GET", "/list?page=2").body == "/list?page=2, version 2\n"


class Mirror(BaseHTTPRequestHandler):
    """An origin that writes into its page by which name it was called."""

    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Cache-Control", "public, max-age=3600")
        self.end_headers()
        self.wfile.write(self.headers["Host"].encode())

    def log_message(self, *_facts: object) -> None:
        """Say nothing."""


def test_reader_cannot_have_a_page_made_for_a_strange_name() -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), Mirror) as mirror:
        Thread(target=mirror.serve_forever, daemon=True).start()
        with cache(free_port(), mirror.server_port) as cache_port:
            alone = Example(None, cache_port)

            strange = alone.ask("GET", "/", Host="evil.example")

            assert (strange.status, strange.body) == (200, "localhost")
            assert alone.ask("GET", "/").body == "localhost"
        mirror.shutdown()


def test_purging_waits_while_the_portal_is_away() -> None:
    with origin() as origin_port, cache(free_port(), origin_port) as cache_port:
        alone = Example(None, cache_port)
        alone.ask("GET", "/news")

        refused = alone.ask("POST", "/purge/news", "771142358$eyJ0eXAiOiJKV")

        assert refused.status == 503
        assert alone.ask("GET", "/news").body == "/news, version 1\n"
