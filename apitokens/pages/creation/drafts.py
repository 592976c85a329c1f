"""What a person typed into a form before they had to sign in again.

It waits in a signed cookie of the form's own address, for as long as signing in takes: nothing is
stored here, and no other page is sent it. It is theirs alone: another user who signs in in their
place gets an empty form.
"""

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.core import signing
from django.http import HttpRequest
from django.http.response import HttpResponseBase

from accounts.http.concurrent_edits import SEEN

View = Callable[..., HttpResponseBase]

COOKIE = "token-draft"
SECONDS = 15 * 60
OWNER = "typed_by"
"""The hidden field that says who has opened the form."""
MOST_BYTES = 3_000
"""Browsers keep 4 KB of a cookie with all that belongs to it."""
FIELDS = (
    *("name", "grace", "role", "access", "expiration", "expires_on", "issuer", SEEN),
    *("allowed_addresses", "scopes", "description"),
)
"""The longest are the last: they are left out where there is no room."""


def keep_draft(view: View) -> View:
    """Keep what is sent to this view by a person who is not signed in any more."""

    @wraps(view)
    def handle(request: HttpRequest, /, *args: Any, **kwargs: Any) -> HttpResponseBase:
        response = view(request, *args, **kwargs)
        if request.method == "POST" and not request.user.is_authenticated:
            _put(request, response)
        return response

    return handle


def take_draft(request: HttpRequest) -> dict[str, str]:
    """What this person typed, by field; nothing if there is no draft of theirs."""
    try:
        draft = signing.loads(request.COOKIES.get(COOKIE, ""), salt=COOKIE, max_age=SECONDS)
    except signing.BadSignature:
        return {}
    if draft.get(OWNER) != str(request.user.pk):
        return {}
    return {name: str(draft[name]) for name in FIELDS if name in draft}


def is_anothers(request: HttpRequest) -> bool:
    """True if another user has opened the form that is sent."""
    return request.POST.get(OWNER) != str(request.user.pk)


def drop_draft(request: HttpRequest, response: HttpResponseBase) -> None:
    """Forget it: the form has it now."""
    if COOKIE in request.COOKIES:
        response.delete_cookie(COOKIE, path=request.path)


def _put(request: HttpRequest, response: HttpResponseBase) -> None:
    owner = request.POST.get(OWNER, "")[:20]
    draft = {name: request.POST[name] for name in FIELDS if request.POST.get(name)}
    if "scopes" in draft:
        draft["scopes"] = " ".join(request.POST.getlist("scopes"))
    if draft.get("expiration") == "date" and (period := request.POST.get("expires_in")):
        draft["expires_on"] = period
    for left_out in ((), FIELDS[-1:], FIELDS[-2:], FIELDS):
        kept = {name: text for name, text in draft.items() if name not in left_out} | {OWNER: owner}
        value = signing.dumps(kept, salt=COOKIE, compress=True)
        if len(value) <= MOST_BYTES:
            break
    response.set_cookie(
        COOKIE,
        value,
        max_age=SECONDS,
        path=request.path,
        secure=request.is_secure(),
        httponly=True,
        samesite="Lax",
    )
