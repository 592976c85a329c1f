"""Signing out at the provider too, and hearing from it that somebody has signed out there.

The messages travel in addresses, compressed and signed. What is signed is the address itself: so
each part is there once, and what was inflated is bounded before anybody parses it.
"""

import base64
import binascii
import zlib
from datetime import datetime, timedelta
from typing import NamedTuple
from urllib.parse import parse_qsl

from allauth.usersessions.models import UserSession
from django.core import signing
from django.http import HttpRequest
from django.urls import reverse
from onelogin.saml2.auth import OneLogin_Saml2_Auth

from accounts.authorization.actor import Actor
from accounts.http.session_backend import SessionStore
from accounts.sign_in import services as sign_in_services
from sso.login import sso_session
from sso.login.sso_session import SSOSession
from sso.models import Connection, Subject
from sso.saml import endpoints
from sso.saml.errors import Refused
from sso.saml.python3_saml import conversation, request_data, settings_of
from sso.saml.responses import SKEW, instant_of
from sso.saml.structure import SAML, SAMLP, SIGNATURES, parse_document, text_of

REQUEST, ANSWER = "SAMLRequest", "SAMLResponse"
SALT = "sso.signing-out"
GOOD_FOR = 300
"""Seconds."""
LASTS = timedelta(minutes=10)
"""How long what the provider says is believed."""
LONGEST = 16 * 1024
LARGEST = 64 * 1024
"""Characters in an address, and bytes when inflated. Real ones have some hundred."""


def sign_out_path(request: HttpRequest) -> str | None:
    """The page that goes on to sign somebody out at the provider that they came through; None if
    they did not, or it does not offer that. Asked while they are still signed in."""
    came = sso_session.recall(request.session)
    found = Connection.objects.filter(pk=came.connection_id, is_on=True) if came else None
    connection = found.exclude(slo_url="").first() if found is not None else None
    if connection is None:
        return None
    path = reverse("sso:sign_out", args=[connection.slug])
    return f"{path}?who={signing.dumps(list(came or ()), salt=SALT, compress=True)}"


def request_to_sign_out(connection: Connection, signed: str, *, at: datetime) -> str | None:
    """The address at the provider that signs out there whom `sign_out_path` was made for."""
    try:
        came = SSOSession(*signing.loads(signed, salt=SALT, max_age=GOOD_FOR))
    except (signing.BadSignature, TypeError):
        return None
    if came.connection_id != connection.pk or not connection.slo_url:
        return None
    address: str = conversation(connection, at).logout(
        return_to="",
        name_id=came.name_id,
        name_id_format=came.name_id_format or None,
        session_index=came.session_index or None,
    )
    return address


class SignedOut(NamedTuple):
    """Somebody has signed out at the provider, in these sessions of it (none: in all). `answer` is
    the address that tells it that we have heard. The message is believed until `ends_at`."""

    message_id: str
    ends_at: datetime
    name_id: str
    session_indexes: list[str]
    answer: str

    def is_about(self, came: SSOSession | None, connection: Connection) -> bool:
        return (
            came is not None
            and came.connection_id == connection.pk
            and came.name_id == self.name_id
            and (not self.session_indexes or came.session_index in self.session_indexes)
        )


def parse_logout_message(connection: Connection, query: str, *, at: datetime) -> SignedOut | None:
    """What the provider says in the query string of an address: that somebody has signed out; None
    if it only answers, which changes nothing here. Raises `Refused`."""
    fields = parse_qsl(query, keep_blank_values=True)
    parts = dict(fields)
    kinds = [kind for kind in (ANSWER, REQUEST) if kind in parts]
    if len(kinds) != 1 or len(parts) != len(fields):
        raise Refused("shape" if kinds else "nothing")
    root = parse_document(_inflated(parts[kinds[0]]))
    if root.tag != f"{SAMLP}{'LogoutResponse' if kinds[0] == ANSWER else 'LogoutRequest'}":
        raise Refused("not_a_response")
    if kinds[0] == ANSWER:
        return None
    if not parts.get("Signature"):
        raise Refused("unsigned")
    if parts.get("SigAlg") not in SIGNATURES:
        raise Refused("algorithm")
    if root.get("Destination") != endpoints.sls_url(connection):
        raise Refused("destination")
    name = root.find(f"{SAML}NameID")
    answer = _believed(connection, query, parts, at)
    issued_at = instant_of(root, "IssueInstant")
    if not at - LASTS < issued_at < at + SKEW:
        raise Refused("too_late" if issued_at < at else "too_early")
    return SignedOut(
        message_id=root.get("ID", ""),
        ends_at=issued_at + LASTS,
        name_id="" if name is None else text_of(name),
        session_indexes=[text_of(each) for each in root.iterfind(f"{SAMLP}SessionIndex")],
        answer=answer,
    )


def end_sessions(connection: Connection, said: SignedOut, *, by: Actor, at: datetime) -> int:
    """Sign the person out in all browsers in which they came through the provider session that has
    ended. Returns of how many."""
    subject = (
        Subject.objects.filter(connection=connection, name_id=said.name_id)
        .select_related("membership__user")
        .first()
    )
    if subject is None:
        return 0
    theirs = [
        session
        for session in UserSession.objects.filter(user=subject.membership.user)
        if said.is_about(sso_session.recall(SessionStore(session.session_key)), connection)
    ]
    return sign_in_services.end_sessions(sessions=theirs, by=by, at=at)


def _believed(connection: Connection, query: str, parts: dict[str, str], at: datetime) -> str:
    """The address for our answer, if the provider has signed this query string."""
    data = {
        **request_data(reverse("sso:sls", args=[connection.slug]), parts),
        "query_string": query,
        "validate_signature_from_qs": True,
    }
    saml = OneLogin_Saml2_Auth(data, settings_of(connection, at))
    try:
        answer = saml.process_slo(keep_local_session=True)
    except Exception as fault:  # its own for every oddity
        raise Refused("invalid") from fault
    if saml.get_errors() or not answer:
        is_forged = "invalid_logout_request_signature" in saml.get_errors()
        raise Refused("signature" if is_forged else "invalid")
    return str(answer)


def _inflated(text: str) -> bytes:
    """A small message can hold gigabytes: it is inflated so far and no further."""
    if len(text) > LONGEST:
        raise Refused("too_large")
    try:
        packed = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise Refused("not_base64") from None
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    try:
        document = inflater.decompress(packed, LARGEST)
    except zlib.error:
        raise Refused("not_xml") from None
    if not inflater.eof:
        raise Refused("too_large")
    return document
