"""SimpleSAMLphp from Debian as an identity provider, set up by the page in docs/ alone."""

from __future__ import annotations

import contextlib
import os
import re
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

from tests.idp.html_forms import Form, form_of
from tests.idp.samlp import Answer, Unavailable
from tests.portal import ROOT, free_port

PAGE = ROOT / "docs" / "single-sign-on.md"
WWW = Path("/usr/share/simplesamlphp/www")
PORT, ENTITY_ID = "8180", "http://localhost:8000/saml/0123456789abcdef/metadata/"
"""As they stand on the page. A test has its own."""
PATIENCE = 30
USER, PASSWORD = "maria", "swordfish"
"""Whom the page makes known to the provider."""


class Steps(NamedTuple):
    """The commands on the page, in the order in which they stand there."""

    install: str
    take_metadata: str
    make_keys: str
    write_files: str
    start: str

    @classmethod
    def on_the_page(cls) -> Steps:
        return cls(*re.findall(r"^```sh\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL))


class SimpleSAMLphp(NamedTuple):
    """The running provider, and the folder that the page has its reader work in."""

    url: str
    folder: Path

    @property
    def metadata_url(self) -> str:
        return f"{self.url}/saml2/idp/metadata.php"

    def metadata(self) -> str:
        with urllib.request.urlopen(self.metadata_url, timeout=PATIENCE) as answer:
            said: bytes = answer.read()
            return said.decode()

    def know(self, metadata: bytes) -> None:
        """Be told of the portal, by the portal's own metadata."""
        (self.folder / "permatoken-metadata.xml").write_bytes(metadata)

    def answer(self, address: str) -> Answer:
        """What it says of Maria to the request in this address."""
        browser = urllib.request.build_opener(urllib.request.HTTPCookieProcessor(CookieJar()))
        with browser.open(address, timeout=PATIENCE) as page:
            form = form_of(page.read().decode())
            asked = urljoin(page.url, form.address)
        fields = {**form.fields, "username": USER, "password": PASSWORD}
        with browser.open(asked, urlencode(fields).encode(), timeout=PATIENCE) as page:
            told: Form = form_of(page.read().decode())
        return Answer(told.address, told.fields)


def insist() -> None:
    """Raises `Unavailable` if it is not installed."""
    if not WWW.is_dir() or shutil.which("php") is None:
        raise Unavailable(f"get it with: {Steps.on_the_page().install.strip()}")


@contextlib.contextmanager
def serve(folder: Path, *, entity_id: str | None = None) -> Iterator[SimpleSAMLphp]:
    """Do what the page says in this folder, which is empty, until the block ends.

    With the portal's `entity_id` its metadata are fetched from there, as on the page; without, the
    provider has to `know` them before it is asked.
    """
    steps, port = Steps.on_the_page(), free_port()
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
        server.wait(PATIENCE)


def _run(script: str, folder: Path) -> None:
    subprocess.run(
        ["bash", "-euc", script], cwd=folder, env=_environment(), check=True, timeout=PATIENCE
    )


def _environment() -> dict[str, str]:
    return {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR") if name in os.environ}


def _wait_for(port: int, server: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline and server.poll() is None:
        with contextlib.suppress(OSError):
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        time.sleep(0.05)
    raise RuntimeError("SimpleSAMLphp did not start.")
