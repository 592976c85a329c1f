"""Signed links that confirm a change of e-mail address.

The link holds the user and both addresses. Nothing is stored until it is opened, and it works once:
afterwards the user's address is no longer the one that it names as the former.
"""

from datetime import timedelta
from typing import NamedTuple

from django.core import signing
from django.urls import reverse
from django.utils.crypto import salted_hmac

from accounts.models import User

SALT = "accounts.changeofemail"
LINK_LIFETIME = timedelta(days=1)


class BadLink(Exception):
    """The link is damaged, too old, or has been used."""


class EmailChange(NamedTuple):
    """A change that a link confirms: this user gets this address."""

    user: User
    email: str


def path(user: User, email: str) -> str:
    """The path of the link in the mail to the new address. Valid for a day, and until the user's
    address or password changes."""
    signed: str = signing.dumps([user.pk, user.email, email, _state(user)], salt=SALT)
    return reverse("accounts:confirm_email", args=[signed])


def read(signed: str) -> EmailChange:
    """Read a link. Raises `BadLink`."""
    try:
        user_id, before, email, state = signing.loads(signed, salt=SALT, max_age=LINK_LIFETIME)
        user = User.objects.get(pk=user_id, email=before, is_active=True)
    except (signing.BadSignature, User.DoesNotExist):
        raise BadLink from None
    if state != _state(user):
        raise BadLink
    return EmailChange(user, email)


def _state(user: User) -> str:
    """A digest of the password's hash: a new password invalidates older links."""
    return salted_hmac(SALT, user.password).hexdigest()[:16]
