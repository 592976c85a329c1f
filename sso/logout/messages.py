"""Single Logout (SAML 2.0 profiles 4.4) with the HTTP-Redirect binding (bindings 3.4).

Messages are query parameters, compressed (DEFLATE) and signed as text: the signature covers the
query string, not the XML. Therefore

- each parameter must occur once: two parsers could take different ones, the signed and another;
- exactly one message is accepted, as request or response;
- inflating stops at a limit: a small message could hold gigabytes (decompression bomb);
- a signature, an accepted algorithm and our URL as Destination are required for a request;
- IssueInstant bounds its validity, and its ID is consumed once (replay).
"""

import base64
import binascii
import zlib
from datetime import datetime, timedelta
from typing import NamedTuple
from urllib.parse import parse_qsl

from django.urls import reverse
from lxml import etree
from onelogin.saml2.auth import OneLogin_Saml2_Auth

from sso.login.sso_session import SSOSession
from sso.models import Connection
from sso.name_ids import is_same
from sso.saml import endpoints
from sso.saml.algorithms import SIGNATURE_METHODS
from sso.saml.errors import Refused
from sso.saml.python3_saml import build_settings, request_data
from sso.saml.responses import CLOCK_SKEW, parse_instant
from sso.saml.signature_wrapping import SAML, SAMLP, parse_xml, text_content

SAML_REQUEST, SAML_RESPONSE = "SAMLRequest", "SAMLResponse"
MESSAGE_LIFETIME = timedelta(minutes=10)
"""How long a LogoutRequest is valid after its IssueInstant."""
MAX_DEFLATED_LENGTH = 16 * 1024
MAX_INFLATED_BYTES = 64 * 1024
"""Characters in the query string, and bytes of XML. Real messages have some hundred."""


class LogoutRequest(NamedTuple):
    """A verified LogoutRequest of the provider, for these of its sessions (none: for all).

    `response_url` is the URL at the provider with our LogoutResponse."""

    message_id: str
    ends_at: datetime
    name_id: str
    name_id_format: str
    session_indexes: list[str]
    response_url: str

    def concerns(self, session: SSOSession) -> bool:
        """True if the request ends this session, which began at the same provider."""
        is_theirs = is_same(
            self.name_id, self.name_id_format, session.name_id, session.name_id_format
        )
        return is_theirs and (
            not self.session_indexes or session.session_index in self.session_indexes
        )


def parse_logout_message(
    connection: Connection, query: str, *, at: datetime
) -> LogoutRequest | None:
    """Parse a query string with a logout message, and verify it if it is a request.

    None for a LogoutResponse: it only ends our own request and changes nothing. Raises `Refused`.
    """
    fields = parse_qsl(query, keep_blank_values=True)
    parts = dict(fields)
    kinds = [kind for kind in (SAML_RESPONSE, SAML_REQUEST) if kind in parts]
    if len(kinds) != 1 or len(parts) != len(fields):
        raise Refused("shape" if kinds else "nothing")
    root = parse_xml(_inflate(parts[kinds[0]]))
    if root.tag != f"{SAMLP}{'LogoutResponse' if kinds[0] == SAML_RESPONSE else 'LogoutRequest'}":
        raise Refused("not_a_response")
    if kinds[0] == SAML_RESPONSE:
        return None
    return _verify_request(connection, query, parts, root, at=at)


def _verify_request(
    connection: Connection,
    query: str,
    parts: dict[str, str],
    root: etree._Element,
    *,
    at: datetime,
) -> LogoutRequest:
    if not parts.get("Signature"):
        raise Refused("unsigned")
    if parts.get("SigAlg") not in SIGNATURE_METHODS:
        raise Refused("algorithm")
    if root.get("Destination") != endpoints.sls_url(connection):
        raise Refused("destination")
    response_url = _verify_signature(connection, query, parts, at)
    issued_at = parse_instant(root, "IssueInstant")
    if not at - MESSAGE_LIFETIME < issued_at < at + CLOCK_SKEW:
        raise Refused("too_late" if issued_at < at else "too_early")
    name = root.find(f"{SAML}NameID")
    return LogoutRequest(
        message_id=root.get("ID", ""),
        ends_at=issued_at + MESSAGE_LIFETIME,
        name_id="" if name is None else text_content(name),
        name_id_format="" if name is None else name.get("Format", ""),
        session_indexes=[text_content(each) for each in root.iterfind(f"{SAMLP}SessionIndex")],
        response_url=response_url,
    )


def _verify_signature(
    connection: Connection, query: str, parts: dict[str, str], at: datetime
) -> str:
    """Verify the signature of the query string, and return the URL for our LogoutResponse."""
    data = {
        **request_data(reverse("sso:sls", args=[connection.slug]), parts),
        "query_string": query,
        "validate_signature_from_qs": True,
    }
    saml = OneLogin_Saml2_Auth(data, build_settings(connection, at))
    try:
        response_url = saml.process_slo(keep_local_session=True)
    except Exception as fault:  # the library raises many kinds
        raise Refused("invalid") from fault
    if saml.get_errors() or not response_url:
        is_forged = "invalid_logout_request_signature" in saml.get_errors()
        raise Refused("signature" if is_forged else "invalid")
    return str(response_url)


def _inflate(text: str) -> bytes:
    """Decode and decompress a message, up to the limit."""
    if len(text) > MAX_DEFLATED_LENGTH:
        raise Refused("too_large")
    try:
        packed = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise Refused("not_base64") from None
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        document = inflater.decompress(packed, MAX_INFLATED_BYTES)
    except zlib.error:
        raise Refused("not_xml") from None
    if not inflater.eof:
        raise Refused("too_large")
    return document
