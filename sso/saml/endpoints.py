"""The portal's addresses that an account tells its identity provider. They follow from BASE_URL,
never from what a request says of its host."""

from django.conf import settings
from django.urls import reverse

from sso.models import Connection


def entity_id(connection: Connection) -> str:
    """What the portal is called by this account's provider: the address of its metadata."""
    return _absolute("sso:metadata", connection)


def acs_url(connection: Connection) -> str:
    """Where the provider sends people back to (Assertion Consumer Service)."""
    return _absolute("sso:acs", connection)


def sls_url(connection: Connection) -> str:
    """Where the provider says that somebody has signed out (Single Logout Service)."""
    return _absolute("sso:sls", connection)


def begin_url(connection: Connection) -> str:
    """The direct address: opening it begins a sign-in with this provider."""
    return _absolute("sso:begin", connection)


def _absolute(name: str, connection: Connection) -> str:
    return f"{settings.BASE_URL}{reverse(name, args=[connection.slug])}"
