"""Steps of an SSO login with a provider that is simulated in this process."""

from __future__ import annotations

import zlib
from base64 import b64decode
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs, urlsplit

from django.test import Client
from django.urls import reverse
from lxml import etree

from sso.models import Connection
from tests.idp.keys import SigningKey
from tests.sso.saml_responses import BOTH, response_xml, sign_and_encode


def decode_request(address: str) -> etree._Element:
    """Decode the message in a URL at the provider."""
    query = parse_qs(urlsplit(address).query)
    (text,) = query.get("SAMLRequest") or query["SAMLResponse"]
    return etree.fromstring(zlib.decompress(b64decode(text), -15))


def start_login(client: Client, connection: Connection, *, wanted: str = "") -> str:
    """Start a login, and return the URL at the provider."""
    path = reverse("sso:begin", args=[connection.slug])
    answer = client.get(path, {"next": wanted} if wanted else {})
    assert answer.status_code == 302
    return str(answer["Location"])


def complete_login(
    client: Client,
    connection: Connection,
    signing: SigningKey,
    address: str,
    *,
    signed: tuple[str, ...] = BOTH,
    **facts: Any,
) -> Any:
    """Post the provider's signed response to this request, and return the final page."""
    request = decode_request(address).get("ID", "")
    xml = response_xml(connection, **{"at": datetime.now(UTC), "request": request, **facts})
    # Each assertion has an ID of its own.
    xml = xml.replace(b'"_assertion"', f'"_a{request}"'.encode())
    answer = client.post(
        reverse("sso:acs", args=[connection.slug]),
        {"SAMLResponse": sign_and_encode(xml, signing, paths=signed)},
    )
    return client.get(answer["Location"]) if answer.status_code == 302 else answer


def sign_in(client: Client, connection: Connection, signing: SigningKey, **facts: Any) -> Any:
    """Log in completely."""
    return complete_login(client, connection, signing, start_login(client, connection), **facts)
