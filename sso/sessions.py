"""What a session remembers of the provider that somebody came through."""

from datetime import timedelta
from typing import NamedTuple

from django.http import HttpRequest

from sso.models import Connection
from sso.responses import Assertion

METHOD = "sso"
"""What allauth's record of a sign-in, the audit log and the API call it."""
LASTS = timedelta(hours=12)
"""What the provider revokes, it does not tell. So a session that it began is no long one."""
_KEY = "sso"


class Came(NamedTuple):
    """Through which connection, by which name, and in which session of the provider."""

    connection_id: int
    name_id: str
    name_id_format: str
    session_index: str


def remember(request: HttpRequest, connection: Connection, assertion: Assertion) -> None:
    came = Came(connection.pk, assertion.name_id, assertion.name_id_format, assertion.session_index)
    request.session[_KEY] = list(came)
    request.session.set_expiry(int(LASTS.total_seconds()))


def recall(session: object) -> Came | None:
    """None for a session that began by other means."""
    facts = session.get(_KEY) if hasattr(session, "get") else None
    return Came(*facts) if facts else None
