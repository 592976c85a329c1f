"""What a session that began by SSO stores about the provider."""

from datetime import timedelta
from typing import NamedTuple

from django.contrib.sessions.backends.base import SessionBase
from django.http import HttpRequest

from sso.models import Connection
from sso.saml.responses import Assertion

LIFETIME = timedelta(hours=12)
"""Shorter than other sessions: providers do not tell the portal when they revoke access."""
_KEY = "sso"


class SSOSession(NamedTuple):
    """The connection, the NameID, and the session at the provider (SessionIndex)."""

    connection_id: int
    name_id: str
    name_id_format: str
    session_index: str


def store(request: HttpRequest, connection: Connection, assertion: Assertion) -> None:
    """Store by which assertion the session begins, and limit its lifetime."""
    session = SSOSession(
        connection.pk, assertion.name_id, assertion.name_id_format, assertion.session_index
    )
    request.session[_KEY] = list(session)
    # A moment. Seconds would be counted from each time that the session is saved.
    request.session.set_expiry(LIFETIME)


def clear(request: HttpRequest) -> None:
    """Remove what an SSO login that was not completed has stored."""
    request.session.pop(_KEY, None)


def load(session: SessionBase) -> SSOSession | None:
    """The stored values; None if the session did not begin by SSO."""
    facts = session.get(_KEY)
    return SSOSession(*facts) if facts else None
