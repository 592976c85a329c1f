"""Where a proven assertion waits for its browser.

The provider's page has the browser post to us, from another site: without our session cookie. So
what was posted is verified at once, kept in a session of its own for moments, and the browser is
sent on to an address of ours, where it shows both cookies.
"""

from datetime import timedelta

from django.conf import settings
from django.http import HttpRequest, HttpResponseRedirect
from django.urls import reverse

from accounts.http.session_backend import SessionStore
from sso.models import Connection
from sso.saml.responses import Assertion

COOKIE = "__Secure-arrival" if settings.SESSION_COOKIE_SECURE else f"arrival-{settings.PORT}"
KEPT_FOR = timedelta(minutes=5)
_CONNECTION, _ASSERTION = "sso_connection", "sso_assertion"


def store_pending_assertion(connection: Connection, assertion: Assertion) -> HttpResponseRedirect:
    """Keep it, and send the browser on to where it is picked up."""
    seconds = int(KEPT_FOR.total_seconds())
    store = SessionStore()
    store[_CONNECTION], store[_ASSERTION] = connection.pk, assertion.facts()
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
    """What this browser has brought from this provider; once, and None if there is nothing."""
    store = SessionStore(request.COOKIES.get(COOKIE))
    facts, whose = store.get(_ASSERTION), store.get(_CONNECTION)
    if facts is None:
        return None
    store.delete()
    return Assertion.of_facts(facts) if whose == connection.pk else None
