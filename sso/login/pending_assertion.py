"""Holds a verified assertion between the provider's cross-site POST and our same-site redirect.

The cross-site POST carries no session cookie (SameSite=Lax). So the response is verified at once,
the assertion is stored in a short session of its own, and the browser is redirected to a URL of the
portal, to which it sends both cookies.
"""

from datetime import timedelta

from django.conf import settings
from django.http import HttpRequest, HttpResponseRedirect
from django.urls import reverse

from accounts.http.session_backend import SessionStore
from sso.models import Connection
from sso.saml.responses import Assertion

COOKIE = "__Secure-arrival" if settings.SESSION_COOKIE_SECURE else f"arrival-{settings.PORT}"
LIFETIME = timedelta(minutes=5)
_CONNECTION, _ASSERTION = "sso_connection", "sso_assertion"


def store_pending_assertion(connection: Connection, assertion: Assertion) -> HttpResponseRedirect:
    """Store the assertion and redirect the browser to the URL that pops it."""
    seconds = int(LIFETIME.total_seconds())
    store = SessionStore()
    store[_CONNECTION], store[_ASSERTION] = connection.pk, assertion.to_session()
    store.set_expiry(seconds)
    store.create()
    path = reverse("sso:finish", args=[connection.slug])
    answer = HttpResponseRedirect(path)
    answer.set_cookie(
        COOKIE,
        store.session_key or "",
        max_age=seconds,
        path=path,
        secure=settings.SESSION_COOKIE_SECURE,
        httponly=True,
        samesite="Lax",
    )
    return answer


def pop_pending_assertion(request: HttpRequest, connection: Connection) -> Assertion | None:
    """Return this browser's assertion from this provider and delete it; None if there is none."""
    store = SessionStore(request.COOKIES.get(COOKIE))
    facts, connection_id = store.get(_ASSERTION), store.get(_CONNECTION)
    if facts is None:
        return None
    store.delete()
    return Assertion.from_session(facts) if connection_id == connection.pk else None
