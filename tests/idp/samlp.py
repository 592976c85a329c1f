"""The npm package samlp as identity providers, behind the small server in this folder."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import urllib.error
import urllib.request
from base64 import b64decode
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlencode

from tests import npm
from tests.idp.html_forms import parse_form
from tests.idp.keys import SigningKey, make_key
from tests.npm import Unavailable as Unavailable

FOLDER = Path(__file__).resolve().parent
TIMEOUT_SECONDS = 30
"""For the server's start and for each response."""


class Person(NamedTuple):
    """The user whom the provider names in its assertion."""

    subject: str
    email: str = ""
    name: str = ""
    role: str = ""
    format: str = ""
    """The NameID's. Empty: persistent."""


class SAMLResponse(NamedTuple):
    """The form with which the browser posts the response to the portal."""

    acs_url: str
    fields: dict[str, str]
    cookie: str = ""
    """The provider's session cookie."""

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
        """The provider's metadata."""
        return _request(urllib.request.Request(self.entity_id))

    def register_service(self, metadata: bytes) -> None:
        """Register the portal at the provider, by the portal's metadata."""
        _request(
            urllib.request.Request(
                f"{self.url}/service",
                method="PUT",
                data=metadata,
                headers={"Content-Type": "application/samlmetadata+xml"},
            )
        )

    def respond(self, url: str, person: Person, *, signed: str = "both") -> SAMLResponse:
        """The response to the AuthnRequest in this URL. `signed`: both, assertion or message."""
        assert url.startswith(f"{self.sso_url}?"), url
        form = parse_form(_request(urllib.request.Request(url)))
        return self._sign_in({**form.fields, "signed": signed}, person)

    def respond_unsolicited(
        self, service: str, person: Person, *, signed: str = "both"
    ) -> SAMLResponse:
        """A response without a request (IdP-initiated)."""
        return self._sign_in({"service": service, "signed": signed}, person)

    def start_logout(self, response: SAMLResponse) -> str:
        """Sign out at the provider, and return the URL at the portal with its LogoutRequest."""
        request = urllib.request.Request(self.slo_url, headers={"Cookie": response.cookie})
        try:
            _WITHOUT_REDIRECTS.open(request, timeout=TIMEOUT_SECONDS)
        except urllib.error.HTTPError as redirect:
            return str(redirect.headers["Location"])
        raise AssertionError("The provider has no session for this cookie.")

    def _sign_in(self, fields: Mapping[str, str], person: Person) -> SAMLResponse:
        body = urlencode({**fields, **person._asdict()}).encode()
        request = urllib.request.Request(self.sso_url, data=body)
        with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as page:
            cookie = str(page.headers.get("Set-Cookie", "")).partition(";")[0]
            return SAMLResponse(*parse_form(page.read().decode()), cookie)


@contextlib.contextmanager
def serve(names: Sequence[str]) -> Iterator[dict[str, Provider]]:
    """Run providers of these names, each with a key of its own, until the block ends.

    They have to be installed.
    """
    signing = {name: make_key(name) for name in names}
    facts = json.dumps({name: each._asdict() for name, each in signing.items()})
    server = subprocess.Popen(
        [npm.program("node"), "server.js"],
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
        server.wait(TIMEOUT_SECONDS)
        server.stdout.close()


def install() -> None:
    """Install the packages of the lock file, unless they are. Raises `Unavailable`."""
    npm.install(FOLDER)


def _request(request: urllib.request.Request) -> str:
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_SECONDS) as response:
            body: bytes = response.read()
            return body.decode()
    except urllib.error.HTTPError as error:
        raise RuntimeError(f"{request.full_url}: {error.read().decode()}") from error


class _NoRedirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_facts: Any) -> None:
        return None


_WITHOUT_REDIRECTS = urllib.request.build_opener(_NoRedirects)
