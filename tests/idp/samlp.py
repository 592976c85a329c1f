"""The npm package samlp as identity providers, behind the small server in this folder."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import tempfile
import urllib.error
import urllib.request
from base64 import b64decode
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlencode

from tests.idp.html_forms import form_of
from tests.idp.keys import SigningKey, make_key

FOLDER = Path(__file__).resolve().parent
PATIENCE = 30
"""Seconds that the server has for its start, and for each answer."""


class Unavailable(Exception):
    """The provider cannot be had on this machine; the text says what to do."""


class Person(NamedTuple):
    """Whom the provider says that somebody is."""

    subject: str
    email: str = ""
    name: str = ""
    role: str = ""
    format: str = ""
    """The NameID's. Empty: persistent."""


class Answer(NamedTuple):
    """What the browser is to carry to the portal."""

    address: str
    fields: dict[str, str]
    cookie: str = ""
    """By which the provider knows the browser again."""

    @property
    def xml(self) -> bytes:
        return b64decode(self.fields["SAMLResponse"])


class Provider(NamedTuple):
    """One identity provider of the running server."""

    url: str
    signing: SigningKey

    @property
    def entity_id(self) -> str:
        return f"{self.url}/metadata"

    @property
    def sso_url(self) -> str:
        return f"{self.url}/sso"

    @property
    def slo_url(self) -> str:
        return f"{self.url}/slo"

    def metadata(self) -> str:
        """What the portal must know of the provider."""
        return _ask(urllib.request.Request(self.entity_id))

    def know(self, metadata: bytes) -> None:
        """Tell the provider of the portal, by the portal's own metadata."""
        _ask(
            urllib.request.Request(
                f"{self.url}/service",
                method="PUT",
                data=metadata,
                headers={"Content-Type": "application/samlmetadata+xml"},
            )
        )

    def answer(self, address: str, person: Person, *, signed: str = "both") -> Answer:
        """What the provider says to the request in this address, to which the portal has sent the
        browser. `signed`: both, assertion or message."""
        assert address.startswith(f"{self.sso_url}?"), address
        asked = form_of(_ask(urllib.request.Request(address)))
        return self._sign_in({**asked.fields, "signed": signed}, person)

    def say(self, service: str, person: Person, *, signed: str = "both") -> Answer:
        """What the provider says of its own accord, nobody having asked."""
        return self._sign_in({"service": service, "signed": signed}, person)

    def sign_out(self, answer: Answer) -> str:
        """Whoever got this answer signs out at the provider: the address at the portal that tells
        it so."""
        asked = urllib.request.Request(self.slo_url, headers={"Cookie": answer.cookie})
        try:
            _WITHOUT_REDIRECTS.open(asked, timeout=PATIENCE)
        except urllib.error.HTTPError as told:
            return str(told.headers["Location"])
        raise AssertionError("The provider knows of nobody who could sign out.")

    def _sign_in(self, fields: Mapping[str, str], person: Person) -> Answer:
        body = urlencode({**fields, **person._asdict()}).encode()
        request = urllib.request.Request(self.sso_url, data=body)
        with urllib.request.urlopen(request, timeout=PATIENCE) as page:
            cookie = str(page.headers.get("Set-Cookie", "")).partition(";")[0]
            return Answer(*form_of(page.read().decode()), cookie)


@contextlib.contextmanager
def serve(names: Sequence[str]) -> Iterator[dict[str, Provider]]:
    """Run providers of these names, each with a key of its own, until the block ends.

    They have to be installed.
    """
    signing = {name: make_key(name) for name in names}
    facts = json.dumps({name: each._asdict() for name, each in signing.items()})
    server = subprocess.Popen(
        [_program("node"), "server.js"],
        cwd=FOLDER,
        env={**os.environ, "NODE_NO_WARNINGS": "1", "NODE_ENV": "production"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert server.stdin is not None
    assert server.stdout is not None
    try:
        server.stdin.write(f"{facts}\n")
        server.stdin.flush()
        url = server.stdout.readline().strip()
        if not url:
            raise RuntimeError("tests/idp/server.js did not start")
        yield {name: Provider(f"{url}/{name}", signing[name]) for name in names}
    finally:
        server.stdin.close()
        server.wait(PATIENCE)
        server.stdout.close()


def install() -> None:
    """Install what the lock file names, if that has not happened yet. Raises `Unavailable`."""
    wanted = hashlib.sha256((FOLDER / "package-lock.json").read_bytes()).hexdigest()
    stamp = FOLDER / "node_modules" / ".installed"
    lock = Path(
        tempfile.gettempdir(),
        f"permatoken-idp-{hashlib.sha256(bytes(FOLDER)).hexdigest()[:16]}.lock",
    )
    with lock.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)  # two workers of pytest must not install at once
        if stamp.exists() and stamp.read_text() == wanted:
            return
        _install()
        stamp.write_text(wanted)


def _install() -> None:
    done = subprocess.run(
        [_program("npm"), "ci", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error"],
        cwd=FOLDER,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=300,
    )
    if done.returncode:
        raise Unavailable(f"npm ci in tests/idp failed: {done.stderr.strip()}")


def _program(name: str) -> str:
    path = shutil.which(name)
    if path is None:
        raise Unavailable(f"{name} is not on the PATH; get it with: apt-get install nodejs npm")
    return path


def _ask(request: urllib.request.Request) -> str:
    try:
        with urllib.request.urlopen(request, timeout=PATIENCE) as answer:
            said: bytes = answer.read()
            return said.decode()
    except urllib.error.HTTPError as error:
        raise RuntimeError(f"{request.full_url}: {error.read().decode()}") from error


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_facts: Any) -> None:
        return None


_WITHOUT_REDIRECTS = urllib.request.build_opener(_NoRedirects)
