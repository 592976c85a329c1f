"""Ends sign-ins that are half done: the password was given, the second factor is still to come.

A session keeps what the person's way in was when the sign-in began. If that is another one by the
end (password, address), or their sign-ins were ended meanwhile, they have to begin anew.
"""

from hashlib import sha256

from django.db.models import F
from django.http import HttpRequest
from django.utils.crypto import constant_time_compare

from accounts.models import User

_BEGAN_WITH = "sign_in_began_with"


def begin(request: HttpRequest, user: User) -> None:
    """Keep what the sign-in begins with: `user` as they were when they proved who they are."""
    request.session[_BEGAN_WITH] = _mark(user)


def still_stands(request: HttpRequest, user: User) -> bool:
    """True if nothing has ended the sign-in since it began. `user` is as of now."""
    return constant_time_compare(str(request.session.pop(_BEGAN_WITH, "")), _mark(user))


def end_all(*, user_id: int) -> None:
    """End the user's sign-ins that are half done. A part of the service that has the reason."""
    User.objects.filter(pk=user_id).update(sign_in_number=F("sign_in_number") + 1)


def _mark(user: User) -> str:
    facts = (user.get_session_auth_hash(), user.email, user.sign_in_number)
    return sha256(repr(facts).encode()).hexdigest()
