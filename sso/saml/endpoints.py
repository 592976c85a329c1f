"""The portal's URLs as a SAML service provider. They are built from BASE_URL, never from the Host
header: Destination, Recipient and Audience are compared with them."""

from django.conf import settings
from django.urls import reverse

from sso.models import Connection


def entity_id(connection: Connection) -> str:
    """The portal's entity ID for this connection, which is the URL of its metadata."""
    return _absolute("sso:metadata", connection)


def acs_url(connection: Connection) -> str:
    """The Assertion Consumer Service, which receives responses."""
    return _absolute("sso:acs", connection)


def sls_url(connection: Connection) -> str:
    """The Single Logout Service, which receives logout messages."""
    return _absolute("sso:sls", connection)


def begin_url(connection: Connection) -> str:
    """The direct sign-in URL: it starts a login with this provider."""
    return _absolute("sso:begin", connection)


def _absolute(name: str, connection: Connection) -> str:
    return f"{settings.BASE_URL}{reverse(name, args=[connection.slug])}"
