"""Browsers that people have signed in with before (OWASP: "device cookies").

Strangers who try passwords use up the tries that everybody has for an address, and so keep its
owner out. A browser that its owner has used has tries of its own. That is all that the cookie is
good for: it signs nobody in, and no rule asks for it.

It says for at most three people: their number, and a random name for the browser. Its signature
depends on the person's password, so that another password ends it.
"""

import secrets
from collections.abc import Callable
from datetime import timedelta

from django.conf import settings
from django.core.signing import BadSignature, TimestampSigner
from django.http import HttpRequest, HttpResponse

from accounts.models import User
from accounts.validators import parse_id

LIFE = timedelta(days=365)
MOST_PEOPLE = 3
"""Who share a browser. The one who has not signed in for the longest time makes room."""
LONGEST = 1_000
_SEPARATOR = "|"
_ATTRIBUTE = "known_browser_of"

Handler = Callable[[HttpRequest], HttpResponse]


def browser_of(request: HttpRequest, user: User | None) -> str | None:
    """The name of this browser, if this person has signed in with it; None if not."""
    if user is None:
        return None
    names = (_name(entry, user) for entry in _entries(request) if _user_id(entry) == user.pk)
    return next(filter(None, names), None)


def browser_of_anybody(request: HttpRequest) -> str | None:
    """The name of this browser, if anybody has signed in with it."""
    entries = _entries(request)
    users = User.objects.in_bulk([user_id for entry in entries if (user_id := _user_id(entry))])
    return next(filter(None, (browser_of(request, user) for user in users.values())), None)


def remember_browser(request: HttpRequest, user: User) -> None:
    """Have the answer to this request make the browser known: its user has just signed in, or has
    another password."""
    setattr(request, _ATTRIBUTE, user)


def keep_known_browsers(get_response: Handler) -> Handler:
    """Middleware that sets the cookie."""

    def handle(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        user: User | None = getattr(request, _ATTRIBUTE, None)
        if user is not None:
            others = [entry for entry in _entries(request) if _user_id(entry) != user.pk]
            response.set_cookie(
                settings.KNOWN_BROWSER_COOKIE_NAME,
                _SEPARATOR.join([_entry(user, browser_of(request, user)), *others][:MOST_PEOPLE]),
                max_age=LIFE,
                secure=settings.SESSION_COOKIE_SECURE,
                httponly=True,
                samesite="Lax",
            )
        return response

    return handle


def _entries(request: HttpRequest) -> list[str]:
    cookie = request.COOKIES.get(settings.KNOWN_BROWSER_COOKIE_NAME, "")
    return cookie.split(_SEPARATOR)[:MOST_PEOPLE] if len(cookie) <= LONGEST else []


def _user_id(entry: str) -> int | None:
    """Whom the entry is about, as it says itself."""
    return parse_id(entry.partition(".")[0])


def _entry(user: User, name: str | None) -> str:
    """What makes the browser known; it keeps the name that it has, and so what it has tried."""
    return _signer(user).sign(name or f"{user.pk}.{secrets.token_urlsafe(12)}")


def _name(entry: str, user: User) -> str | None:
    try:
        return _signer(user).unsign(entry, max_age=LIFE)
    except BadSignature:
        return None


def _signer(user: User) -> TimestampSigner:
    return TimestampSigner(salt=f"accounts.known-browser {user.pk} {user.password}")
