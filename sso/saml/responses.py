"""Verifies SAML responses (Web Browser SSO, SAML 2.0 profiles 4.1.4) and reads the assertion.

`sso.saml.signature_wrapping` has to accept the document first. Then python3-saml verifies schema,
issuer and signatures with the certificates of this connection alone. What it skips, or too
leniently, is checked here on the same document:

- Destination (Core 3.2.2) and Recipient (Profiles 4.1.4.3) must be our ACS URL exactly, and must be
  there: a response to another service, or to another account's address, is refused here.
- Audience (Core 2.5.1.4) must be there, and every restriction must name our entity ID: an assertion
  for another service is refused.
- A bearer confirmation (Profiles 4.1.4.2) must be there: one by key would prove nothing here.
- InResponseTo must be there, and the same in response and confirmation: unsolicited responses
  (Profiles 4.1.5) would allow login CSRF. `sso.login.views` compares it with the browser's session.
- NotBefore, NotOnOrAfter and IssueInstant allow 2 minutes of clock skew, python3-saml 5. The end is
  mandatory: it bounds how long `sso.login.replay_protection` has to remember the assertion.
- NameID must be there and not transient (Core 8.3.8): else users could not be recognized.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

from django.urls import reverse
from lxml import etree
from onelogin.saml2.errors import OneLogin_Saml2_ValidationError as Fault
from onelogin.saml2.response import OneLogin_Saml2_Response
from onelogin.saml2.utils import OneLogin_Saml2_Utils

from sso.models import Connection
from sso.saml import endpoints
from sso.saml.errors import Refused
from sso.saml.python3_saml import build_settings, request_data
from sso.saml.signature_wrapping import (
    SAML,
    find_assertion,
    is_signed,
    parse_response,
    text_content,
)

CLOCK_SKEW = timedelta(minutes=2)
"""How far the clocks of provider and portal may differ."""
MAX_NAME_ID_LENGTH = 255
MAX_ID_LENGTH = 255
TRANSIENT = "urn:oasis:names:tc:SAML:2.0:nameid-format:transient"
BEARER = "urn:oasis:names:tc:SAML:2.0:cm:bearer"

_REASON_CODES = {
    Fault.STATUS_CODE_IS_NOT_SUCCESS: "status",
    Fault.WRONG_AUDIENCE: "audience",
    Fault.WRONG_DESTINATION: "destination",
    Fault.EMPTY_DESTINATION: "destination",
    Fault.WRONG_ISSUER: "issuer",
    Fault.ISSUER_MULTIPLE_IN_RESPONSE: "issuer",
    Fault.ISSUER_NOT_FOUND_IN_ASSERTION: "issuer",
    Fault.ASSERTION_TOO_EARLY: "too_early",
    Fault.ASSERTION_EXPIRED: "too_late",
    Fault.SESSION_EXPIRED: "too_late",
    Fault.WRONG_SUBJECTCONFIRMATION: "recipient",
    Fault.NO_SIGNED_ASSERTION: "unsigned",
    Fault.NO_SIGNATURE_FOUND: "unsigned",
    Fault.INVALID_SIGNATURE: "signature",
    Fault.WRONG_NUMBER_OF_SIGNATURES: "signature_shape",
    Fault.DEPRECATED_SIGNATURE_METHOD: "algorithm",
    Fault.DEPRECATED_DIGEST_METHOD: "algorithm",
    Fault.NO_NAMEID: "no_name",
    Fault.EMPTY_NAMEID: "no_name",
}


class Assertion(NamedTuple):
    """What a verified assertion says."""

    assertion_id: str
    in_response_to: str
    """The ID of the AuthnRequest that it answers."""
    name_id: str
    name_id_format: str
    attributes: dict[str, list[str]]
    session_index: str
    authenticated_at: datetime
    ends_at: datetime
    """When it expires, clock skew included."""
    message_is_signed: bool
    """Whether the response around it is signed as well."""

    def to_session(self) -> dict[str, Any]:
        """Serialize to JSON values."""
        return {
            **self._asdict(),
            "authenticated_at": self.authenticated_at.isoformat(),
            "ends_at": self.ends_at.isoformat(),
        }

    @classmethod
    def from_session(cls, facts: dict[str, Any]) -> Assertion:
        """Restore what `to_session` has serialized."""
        moments = ("authenticated_at", "ends_at")
        return cls(**{**facts, **{name: datetime.fromisoformat(facts[name]) for name in moments}})


def verify_response(connection: Connection, text: str, *, at: datetime) -> Assertion:
    """Verify a response as posted, in base64, and return its assertion. Raises `Refused`.

    Not checked here: whether this browser has sent the request, and whether the assertion was used
    before (`sso.login`).
    """
    text = "".join(text.split())
    root = parse_response(text)
    if not connection.certificates.valid_at(at).exists():
        raise Refused("no_certificate")
    _verify_with_python3_saml(connection, text, at=at)
    assertion = find_assertion(root)
    if root.get("Destination") != endpoints.acs_url(connection):
        raise Refused("destination")
    _refuse_wrong_audience(connection, assertion)
    confirmation = _bearer_confirmation(connection, root, assertion)
    name, name_format = _name_id(assertion)
    return Assertion(
        assertion_id=_assertion_id(assertion),
        in_response_to=confirmation.get("InResponseTo", ""),
        name_id=name,
        name_id_format=name_format,
        attributes=_attributes(assertion),
        session_index=_authn_statement(assertion).get("SessionIndex", ""),
        authenticated_at=parse_instant(_authn_statement(assertion), "AuthnInstant"),
        ends_at=_valid_until(assertion, confirmation, at),
        message_is_signed=is_signed(root),
    )


def _verify_with_python3_saml(connection: Connection, text: str, *, at: datetime) -> None:
    """Let python3-saml check schema, status, issuer, times and signatures."""
    path = reverse("sso:acs", args=[connection.slug])
    response = OneLogin_Saml2_Response(build_settings(connection, at), text)
    try:
        response.is_valid(request_data(path), raise_exceptions=True)
    except Fault as fault:
        raise Refused(_REASON_CODES.get(fault.code, "invalid")) from fault
    except Exception as fault:
        # The library lets exceptions of its own code escape, as for an invalid date: the response
        # is refused, and the page is no server error.
        raise Refused("invalid") from fault


def _refuse_wrong_audience(connection: Connection, assertion: etree._Element) -> None:
    """python3-saml accepts a missing audience, and lets one of several restrictions suffice."""
    restrictions = assertion.findall(f"{SAML}Conditions/{SAML}AudienceRestriction")
    ours = endpoints.entity_id(connection)
    audiences_of_each = [
        {text_content(each) for each in one.iter(f"{SAML}Audience")} for one in restrictions
    ]
    if not audiences_of_each or not all(ours in audiences for audiences in audiences_of_each):
        raise Refused("audience")


def _bearer_confirmation(
    connection: Connection, root: etree._Element, assertion: etree._Element
) -> etree._Element:
    """Return the bearer confirmation: it is for our ACS URL and for the request of the response."""
    found = [
        data
        for confirmation in assertion.iterfind(f"{SAML}Subject/{SAML}SubjectConfirmation")
        if confirmation.get("Method") == BEARER
        for data in confirmation.iterfind(f"{SAML}SubjectConfirmationData")
    ]
    if not found:
        raise Refused("recipient")
    asked = root.get("InResponseTo")
    if not asked or any(each.get("InResponseTo") != asked for each in found):
        raise Refused("unsolicited" if not asked else "other_request")
    if any(each.get("Recipient") != endpoints.acs_url(connection) for each in found):
        raise Refused("recipient")
    return found[0]


def _name_id(assertion: etree._Element) -> tuple[str, str]:
    """The NameID and its format."""
    node = assertion.find(f"{SAML}Subject/{SAML}NameID")
    name = "" if node is None else text_content(node)
    if node is None or not name or len(name) > MAX_NAME_ID_LENGTH or not name.isprintable():
        raise Refused("no_name")
    name_format = node.get("Format", "")
    if len(name_format) > MAX_NAME_ID_LENGTH:
        raise Refused("no_name")
    if name_format == TRANSIENT:
        raise Refused("transient", name_id=name)
    return name, name_format


def _attributes(assertion: etree._Element) -> dict[str, list[str]]:
    """Values by attribute name, and by FriendlyName where no attribute has that name."""
    named: dict[str, list[str]] = {}
    friendly: dict[str, list[str]] = {}
    for node in assertion.iterfind(f"{SAML}AttributeStatement/{SAML}Attribute"):
        values = [text_content(each) for each in node.iterfind(f"{SAML}AttributeValue")]
        for names, key in ((named, "Name"), (friendly, "FriendlyName")):
            if node.get(key):
                names.setdefault(node.get(key, ""), []).extend(filter(None, values))
    return {**friendly, **named}


def _assertion_id(assertion: etree._Element) -> str:
    identity: str = assertion.get("ID", "")
    if not identity or len(identity) > MAX_ID_LENGTH:
        raise Refused("invalid")
    return identity


def _authn_statement(assertion: etree._Element) -> etree._Element:
    statement = assertion.find(f"{SAML}AuthnStatement")
    if statement is None:
        raise Refused("invalid")
    return statement


def _valid_until(assertion: etree._Element, confirmation: etree._Element, at: datetime) -> datetime:
    """When the assertion expires. python3-saml allows 5 minutes of skew, and no end at all."""
    if parse_instant(assertion, "IssueInstant") > at + CLOCK_SKEW:
        raise Refused("too_early")
    conditions = assertion.find(f"{SAML}Conditions")
    assert conditions is not None  # python3-saml requires it
    for node in (conditions, confirmation):
        if node.get("NotBefore") and parse_instant(node, "NotBefore") > at + CLOCK_SKEW:
            raise Refused("too_early")
    ends = [parse_instant(confirmation, "NotOnOrAfter"), *_optional_end(conditions)]
    end = min(ends) + CLOCK_SKEW
    if end <= at:
        raise Refused("too_late")
    return end


def _optional_end(conditions: etree._Element) -> Iterator[datetime]:
    if conditions.get("NotOnOrAfter"):
        yield parse_instant(conditions, "NotOnOrAfter")


def parse_instant(node: etree._Element, name: str) -> datetime:
    """Parse a time attribute (Core 1.3.3). Raises `Refused` if it is missing or invalid."""
    try:
        seconds = OneLogin_Saml2_Utils.parse_SAML_to_time(node.get(name, ""))
        return datetime.fromtimestamp(seconds, UTC)
    except Exception:  # the library raises many kinds
        raise Refused("invalid") from None
