"""Another address for a person: confirmed at the new one, told to the old one.

The link says who, from which address to which, and is signed. Nothing is kept until it is opened,
and when it has been used the address before is another, so that it is good once.
"""

from datetime import timedelta
from typing import NamedTuple

from django.core import signing
from django.urls import reverse
from django.utils.crypto import salted_hmac

from accounts.models import User

SALT = "accounts.changeofemail"
GOOD_FOR = timedelta(days=1)


class BadLink(Exception):
    """The link is damaged, too old, or has been used."""


class Wish(NamedTuple):
    """What a link is for: this user wants this address."""

    user: User
    email: str


def path(user: User, email: str) -> str:
    """The path that a mail to the new address carries; good for a day, and until the user's address
    or password is another."""
    signed: str = signing.dumps([user.pk, user.email, email, _state(user)], salt=SALT)
    return reverse("accounts:confirm_email", args=[signed])


def read(signed: str) -> Wish:
    """Who wants which address. Raises `BadLink`."""
    try:
        user_id, before, email, state = signing.loads(signed, salt=SALT, max_age=GOOD_FOR)
        user = User.objects.get(pk=user_id, email=before, is_active=True)
    except (signing.BadSignature, User.DoesNotExist):
        raise BadLink from None
    if state != _state(user):
        raise BadLink
    return Wish(user, email)


def _state(user: User) -> str:
    """Changes with the password: whoever sets another one also ends what was asked for before."""
    return salted_hmac(SALT, user.password).hexdigest()[:16]
