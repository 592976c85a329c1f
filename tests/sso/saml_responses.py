"""Creates SAML responses: as the parsed `Assertion`, and as signed XML."""

from __future__ import annotations

from base64 import b64encode
from datetime import datetime, timedelta
from typing import Any

from sso.models import Connection
from sso.saml import endpoints
from sso.saml.responses import Assertion
from tests.idp import mutations, signatures
from tests.idp.keys import SigningKey

PERSISTENT = "urn:oasis:names:tc:SAML:2.0:nameid-format:persistent"
EMAIL_FORMAT = "urn:oasis:names:tc:SAML:1.1:nameid-format:emailAddress"
SP = "urn:oasis:names:tc:SAML:2.0"
BOTH = (mutations.ASSERTION, mutations.RESPONSE)


def make_assertion(
    *,
    at: datetime,
    email: str | None = "maria@example.com",
    name_id: str = "maria-7f3a",
    assertion_id: str = "_assertion",
    **facts: Any,
) -> Assertion:
    """A verified assertion, with the attributes `mail` and others."""
    attributes = {} if email is None else {"mail": [email]}
    return Assertion(
        **{
            "assertion_id": assertion_id,
            "in_response_to": "_request",
            "name_id": name_id,
            "name_id_format": PERSISTENT,
            "session_index": "",
            "authenticated_at": at,
            "ends_at": at + timedelta(minutes=5),
            "message_is_signed": True,
            **facts,
            "attributes": {**attributes, **facts.get("attributes", {})},
        }
    )


def response_xml(
    connection: Connection,
    *,
    at: datetime,
    request: str = "_request",
    name_id: str = "maria-7f3a",
    name_format: str = PERSISTENT,
    email: str = "maria@example.com",
    authenticated_at: datetime | None = None,
) -> bytes:
    """The XML of a response without signatures."""
    now, soon = mutations.format_instant(at), mutations.format_instant(at + timedelta(minutes=5))
    acs, issuer = endpoints.acs_url(connection), connection.entity_id
    return (
        f'<samlp:Response xmlns:samlp="{SP}:protocol" xmlns:saml="{SP}:assertion" ID="_response" '
        f'Version="2.0" IssueInstant="{now}" Destination="{acs}" InResponseTo="{request}">'
        f"<saml:Issuer>{issuer}</saml:Issuer>"
        f'<samlp:Status><samlp:StatusCode Value="{SP}:status:Success"/></samlp:Status>'
        f'<saml:Assertion ID="_assertion" Version="2.0" IssueInstant="{now}">'
        f"<saml:Issuer>{issuer}</saml:Issuer><saml:Subject>"
        f'<saml:NameID Format="{name_format}">{name_id}</saml:NameID>'
        f'<saml:SubjectConfirmation Method="{SP}:cm:bearer"><saml:SubjectConfirmationData '
        f'NotOnOrAfter="{soon}" Recipient="{acs}" InResponseTo="{request}"/>'
        "</saml:SubjectConfirmation></saml:Subject>"
        f'<saml:Conditions NotBefore="{now}" NotOnOrAfter="{soon}"><saml:AudienceRestriction>'
        f"<saml:Audience>{endpoints.entity_id(connection)}</saml:Audience>"
        "</saml:AudienceRestriction></saml:Conditions>"
        f'<saml:AuthnStatement AuthnInstant="{mutations.format_instant(authenticated_at or at)}" '
        f'SessionIndex="_session"><saml:AuthnContext><saml:AuthnContextClassRef>'
        f"{SP}:ac:classes:Password</saml:AuthnContextClassRef></saml:AuthnContext>"
        "</saml:AuthnStatement><saml:AttributeStatement>"
        '<saml:Attribute Name="mail" FriendlyName="email">'
        f"<saml:AttributeValue>{email}</saml:AttributeValue></saml:Attribute>"
        "</saml:AttributeStatement></saml:Assertion></samlp:Response>"
    ).encode()


def sign_and_encode(xml: bytes, signing: SigningKey, *, paths: tuple[str, ...] = BOTH) -> str:
    """The SAMLResponse field: signed at these elements, in base64."""
    return b64encode(signatures.sign_anew(xml, signing, paths=paths)).decode()
