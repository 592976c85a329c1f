"""Reads what a provider says of a person, and believes nothing that it cannot prove.

python3-saml verifies; what it lets pass or forgives is checked on top, on the same document.
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
from sso.saml.python3_saml import request_data, settings_of
from sso.saml.structure import SAML, assertion_in, is_signed, parse, text_of

SKEW = timedelta(minutes=2)
"""How far the clocks of provider and portal may be apart."""
LONGEST_NAME = 255
LONGEST_ID = 255
TRANSIENT = "urn:oasis:names:tc:SAML:2.0:nameid-format:transient"
BEARER = "urn:oasis:names:tc:SAML:2.0:cm:bearer"

_CODES = {
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
    """What the provider has said and proven."""

    assertion_id: str
    in_response_to: str
    """The id of our request that it answers."""
    name_id: str
    name_id_format: str
    attributes: dict[str, list[str]]
    session_index: str
    authenticated_at: datetime
    ends_at: datetime
    """It is believed no longer than that."""
    message_is_signed: bool
    """Whether the response around it is signed, too."""

    def facts(self) -> dict[str, Any]:
        """For keeping in a session: JSON values."""
        return {
            **self._asdict(),
            "authenticated_at": self.authenticated_at.isoformat(),
            "ends_at": self.ends_at.isoformat(),
        }

    @classmethod
    def of_facts(cls, facts: dict[str, Any]) -> Assertion:
        moments = ("authenticated_at", "ends_at")
        return cls(**{**facts, **{name: datetime.fromisoformat(facts[name]) for name in moments}})


def read(connection: Connection, text: str, *, at: datetime) -> Assertion:
    """What a response, in base64 as a browser has sent it, proves. Raises `Refused`.

    Whether this browser has asked for it, and whether it was used before, is for others to see.
    """
    text = "".join(text.split())
    root = parse(text)
    if not connection.certificates.good(at).exists():
        raise Refused("no_certificate")
    _verify(connection, text, at=at)
    assertion = assertion_in(root)
    if root.get("Destination") != endpoints.acs_url(connection):
        raise Refused("destination")
    _refuse_other_audience(connection, assertion)
    confirmation = _confirmation(connection, root, assertion)
    name, name_format = _name(assertion)
    return Assertion(
        assertion_id=_id(assertion),
        in_response_to=confirmation.get("InResponseTo", ""),
        name_id=name,
        name_id_format=name_format,
        attributes=_attributes(assertion),
        session_index=_statement(assertion).get("SessionIndex", ""),
        authenticated_at=instant_of(_statement(assertion), "AuthnInstant"),
        ends_at=_end(assertion, confirmation, at),
        message_is_signed=is_signed(root),
    )


def _verify(connection: Connection, text: str, *, at: datetime) -> None:
    """Signatures, schema, times, issuer: what python3-saml checks."""
    path = reverse("sso:acs", args=[connection.slug])
    response = OneLogin_Saml2_Response(settings_of(connection, at), text)
    try:
        response.is_valid(request_data(path), raise_exceptions=True)
    except Fault as fault:
        raise Refused(_CODES.get(fault.code, "invalid")) from fault
    except Exception as fault:
        # It raises whatever goes wrong inside, be it a date that is none: no reason to let
        # anybody in, nor to fault.
        raise Refused("invalid") from fault


def _refuse_other_audience(connection: Connection, assertion: etree._Element) -> None:
    """python3-saml takes a missing audience for ours, and one of several restrictions for all."""
    restrictions = assertion.findall(f"{SAML}Conditions/{SAML}AudienceRestriction")
    ours = endpoints.entity_id(connection)
    heard = [{text_of(each) for each in one.iter(f"{SAML}Audience")} for one in restrictions]
    if not heard or not all(ours in audiences for audiences in heard):
        raise Refused("audience")


def _confirmation(
    connection: Connection, root: etree._Element, assertion: etree._Element
) -> etree._Element:
    """The one that says that whoever brings the assertion may use it, here, for our request."""
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


def _name(assertion: etree._Element) -> tuple[str, str]:
    node = assertion.find(f"{SAML}Subject/{SAML}NameID")
    name = "" if node is None else text_of(node)
    if node is None or not name or len(name) > LONGEST_NAME or not name.isprintable():
        raise Refused("no_name")
    name_format = node.get("Format", "")
    if name_format == TRANSIENT:
        raise Refused("transient", name_id=name)
    return name, name_format


def _attributes(assertion: etree._Element) -> dict[str, list[str]]:
    """By name, and by friendly name where no attribute has it for a name."""
    named: dict[str, list[str]] = {}
    friendly: dict[str, list[str]] = {}
    for node in assertion.iterfind(f"{SAML}AttributeStatement/{SAML}Attribute"):
        values = [text_of(each) for each in node.iterfind(f"{SAML}AttributeValue")]
        for names, key in ((named, "Name"), (friendly, "FriendlyName")):
            if node.get(key):
                names.setdefault(node.get(key, ""), []).extend(filter(None, values))
    return {**friendly, **named}


def _id(assertion: etree._Element) -> str:
    identity: str = assertion.get("ID", "")
    if not identity or len(identity) > LONGEST_ID:
        raise Refused("invalid")
    return identity


def _statement(assertion: etree._Element) -> etree._Element:
    statement = assertion.find(f"{SAML}AuthnStatement")
    if statement is None:
        raise Refused("invalid")
    return statement


def _end(assertion: etree._Element, confirmation: etree._Element, at: datetime) -> datetime:
    """Until when it is believed. python3-saml forgives clocks five minutes, and a missing end."""
    if instant_of(assertion, "IssueInstant") > at + SKEW:
        raise Refused("too_early")
    conditions = assertion.find(f"{SAML}Conditions")
    assert conditions is not None  # python3-saml insists on one
    for node in (conditions, confirmation):
        if node.get("NotBefore") and instant_of(node, "NotBefore") > at + SKEW:
            raise Refused("too_early")
    ends = [instant_of(confirmation, "NotOnOrAfter"), *_optional_end(conditions)]
    end = min(ends) + SKEW
    if end <= at:
        raise Refused("too_late")
    return end


def _optional_end(conditions: etree._Element) -> Iterator[datetime]:
    if conditions.get("NotOnOrAfter"):
        yield instant_of(conditions, "NotOnOrAfter")


def instant_of(node: etree._Element, name: str) -> datetime:
    """A time as SAML writes it. Raises `Refused` for none."""
    try:
        seconds = OneLogin_Saml2_Utils.parse_SAML_to_time(node.get(name, ""))
        return datetime.fromtimestamp(seconds, UTC)
    except Exception:  # its own for every oddity
        raise Refused("invalid") from None
