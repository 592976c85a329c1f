"""Signed links that confirm a change of e-mail address.

The link holds the user and both addresses. The new one is stored when the link is used, which
ends it and all others of the user: each request and each change counts up
`User.email_change_number`, and a link is good for one number.
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
    """The path of the link in the mail to the new address. Valid for a day, and until the user asks
    for another one, or their address or password changes."""
    signed: str = signing.dumps([user.pk, user.email, email, state_of(user)], salt=SALT)
    return reverse("accounts:confirm_email", args=[signed])


def read(signed: str) -> EmailChange:
    """Read a link. Raises `BadLink`."""
    try:
        user_id, before, email, state = signing.loads(signed, salt=SALT, max_age=LINK_LIFETIME)
        user = User.objects.get(pk=user_id, email=before, is_active=True)
    except (signing.BadSignature, User.DoesNotExist):
        raise BadLink from None
    if state != state_of(user):
        raise BadLink
    return EmailChange(user, email)


def state_of(user: User) -> str:
    """A digest of what ends older links when it changes: the password's hash, and the number of
    requests and changes. (The address alone would not do: it may be changed back.)"""
    value = f"{user.email_change_number}:{user.password}"
    return salted_hmac(SALT, value).hexdigest()[:16]
