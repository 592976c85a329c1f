"""The link that stops one kind of mail, without a sign-in."""

from datetime import timedelta

from django.conf import settings
from django.core import signing
from django.urls import reverse

from notifications.kinds import KINDS, Kind
from notifications.preferences import Person

SALT = "notifications.unsubscribe"
GOOD_FOR = timedelta(days=365)


class BadLink(Exception):
    """The link is damaged, too old, or about a kind that is no more."""


def link(person: Person, kind: Kind) -> str:
    """The address that a mail carries; good for a year."""
    signed: str = signing.dumps([*person, kind.code], salt=SALT, compress=True)
    path = reverse("notifications:unsubscribe", args=[signed])
    return f"{settings.BASE_URL}{path}"


def read(signed: str) -> tuple[Person, Kind]:
    """Who wants to stop what. Raises `BadLink`."""
    try:
        user_id, account_id, code = signing.loads(signed, salt=SALT, max_age=GOOD_FOR)
        return Person(int(user_id), int(account_id)), KINDS[code]
    except (signing.BadSignature, KeyError, ValueError, TypeError):
        raise BadLink from None
