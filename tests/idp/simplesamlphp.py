"""Debian's SimpleSAMLphp as an identity provider, set up as docs/single-sign-on.md says."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from http.cookiejar import CookieJar
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlencode, urljoin

from tests.documentation.blocks import blocks_on
from tests.idp.html_forms import parse_form
from tests.idp.samlp import SAMLResponse, Unavailable
from tests.portal import ROOT, free_port

PAGE = ROOT / "docs" / "single-sign-on.md"
WWW = Path("/usr/share/simplesamlphp/www")
PORT, ENTITY_ID = "8180", "http://localhost:8000/saml/0123456789abcdef/metadata/"
"""The values on the page. Tests replace them."""
TIMEOUT_SECONDS = 30
USER, PASSWORD = "maria", "swordfish"
"""The user whom the page creates."""


class PageCommands(NamedTuple):
    """The commands on the page, in order."""

    install: str
    take_metadata: str
    make_keys: str
    write_files: str
    start: str

    @classmethod
    def from_page(cls) -> PageCommands:
        return cls(*(each.text for each in blocks_on("docs/single-sign-on.md", "sh")))


class SimpleSAMLphp(NamedTuple):
    """The running provider, and its working folder."""

    url: str
    folder: Path

    @property
    def metadata_url(self) -> str:
        return f"{self.url}/saml2/idp/metadata.php"

    def metadata(self) -> str:
        with urllib.request.urlopen(self.metadata_url, timeout=TIMEOUT_SECONDS) as response:
            body: bytes = response.read()
            return body.decode()

    def register_service(self, metadata: bytes) -> None:
        """Register the portal, by its metadata."""
        (self.folder / "permatoken-metadata.xml").write_bytes(metadata)

    def respond(self, url: str) -> SAMLResponse:
        """The response about Maria to the AuthnRequest in this URL."""
        browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(CookieJar()))
        with browser.open(url, timeout=TIMEOUT_SECONDS) as page:
            form = parse_form(page.read().decode())
            action = urljoin(page.url, form.action)
        fields = {**form.fields, "username": USER, "password": PASSWORD}
        with browser.open(action, urlencode(fields).encode(), timeout=TIMEOUT_SECONDS) as page:
            form = parse_form(page.read().decode())
        return SAMLResponse(form.action, form.fields)


def require_installed() -> None:
    """Raise `Unavailable` if it is not installed."""
    if not WWW.is_dir() or shutil.which("php") is None:
        raise Unavailable(f"get it with: {PageCommands.from_page().install.strip()}")


@contextlib.contextmanager
def serve(folder: Path, *, entity_id: str | None = None) -> Iterator[SimpleSAMLphp]:
    """Run the provider in this empty folder by the page's commands, until the block ends.

    With `entity_id` the portal's metadata are fetched from there, as on the page; without, call
    `register_service` before the first login.
    """
    steps, port = PageCommands.from_page(), free_port()
    if entity_id is not None:
        assert steps.take_metadata.count(ENTITY_ID) == 1
        _run(steps.take_metadata.replace(ENTITY_ID, entity_id), folder)
    _run(steps.make_keys, folder)
    assert steps.write_files.count(f":{PORT}/") == 1
    _run(steps.write_files.replace(f":{PORT}/", f":{port}/"), folder)
    start = steps.start.replace(f":{PORT} ", f":{port} ")
    with (folder / "php.log").open("wb") as log:
        server = subprocess.Popen(
            ["bash", "-c", f"exec env {start}"],
            cwd=folder,
            env=_environment(),
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    try:
        running = SimpleSAMLphp(f"http://127.0.0.1:{port}", folder)
        _wait_for(port, server)
        yield running
    finally:
        server.terminate()
        server.wait(TIMEOUT_SECONDS)


def _run(script: str, folder: Path) -> None:
    subprocess.run(
        ["bash", "-euc", script],
        cwd=folder,
        env=_environment(),
        check=True,
        timeout=TIMEOUT_SECONDS,
    )


def _environment() -> dict[str, str]:
    return {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR") if name in os.environ}


def _wait_for(port: int, server: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + TIMEOUT_SECONDS
    while time.monotonic() < deadline and server.poll() is None:
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        time.sleep(0.05)
    raise RuntimeError("SimpleSAMLphp did not start.")
