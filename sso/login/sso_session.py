"""What a session remembers of the provider that somebody came through."""

from datetime import timedelta
from typing import NamedTuple

from django.contrib.sessions.backends.base import SessionBase
from django.http import HttpRequest

from sso.models import Connection
from sso.saml.responses import Assertion

LASTS = timedelta(hours=12)
"""What the provider revokes, it does not tell. So a session that it began is no long one."""
_KEY = "sso"


class SSOSession(NamedTuple):
    """Through which connection, by which name, and in which session of the provider."""

    connection_id: int
    name_id: str
    name_id_format: str
    session_index: str


def remember(request: HttpRequest, connection: Connection, assertion: Assertion) -> None:
    came = SSOSession(
        connection.pk, assertion.name_id, assertion.name_id_format, assertion.session_index
    )
    request.session[_KEY] = list(came)
    request.session.set_expiry(int(LASTS.total_seconds()))


def forget(request: HttpRequest) -> None:
    """What an arrival that came to nothing has left here."""
    request.session.pop(_KEY, None)


def recall(session: SessionBase) -> SSOSession | None:
    """None for a session that began by other means."""
    facts = session.get(_KEY)
    return SSOSession(*facts) if facts else None
