"""Looks connections up for views: 404 if there is none, or its account is closed."""

from django.http import Http404

from sso.connections.services import connection_of
from sso.models import Connection


def get_account_connection_or_404(account_id: int) -> Connection:
    """The connection of the account."""
    found = connection_of(account_id)
    if found is None:
        raise Http404
    return found


def get_connection_or_404(slug: str) -> Connection:
    """The connection with this slug, of an open account."""
    found = Connection.objects.select_related("account").filter(slug=slug).first()
    if found is None or found.account.closed_at is not None:
        raise Http404
    return found


def get_configured_connection_or_404(slug: str) -> Connection:
    """The connection with this slug, of an open account, if its provider is known."""
    if not (connection := get_connection_or_404(slug)).has_provider:
        raise Http404
    return connection
