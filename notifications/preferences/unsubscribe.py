"""The link that stops one kind of mail, without a sign-in."""

from datetime import timedelta
from hashlib import sha256
from typing import NamedTuple

from django.apps import apps
from django.conf import settings
from django.core import signing
from django.core.exceptions import ObjectDoesNotExist

from notifications.kinds import KINDS, Kind
from notifications.links import path_to
from notifications.recipients import Person, mail_address_of

SALT = "notifications.unsubscribe"
GOOD_FOR = timedelta(days=365)


class BadLink(Exception):
    """The link is damaged, too old, names a person or an account that no longer exists, or was
    mailed to an address that is not the person's any more."""


def link(person: Person, kind: Kind, *, email: str) -> str:
    """The address that a mail to this e-mail address carries; good for a year, or until the person
    has another address: a reader of the former mailbox must learn and change nothing."""
    signed: str = signing.dumps([*person, kind.code, _mark(email)], salt=SALT)
    return settings.BASE_URL + path_to("notifications:unsubscribe", signed=signed)


def settings_path(person: Person) -> str:
    """The way to this person's settings for this account."""
    return path_to("notifications:settings", account_id=person.account_id)


class Stop(NamedTuple):
    """What a link stops: mails of this kind, to this address, about this account."""

    person: Person
    kind: Kind
    email: str
    account: str

    @property
    def settings_path(self) -> str:
        return settings_path(self.person)


def read(signed: str) -> Stop:
    """Read what a link stops, and for whom. Raises `BadLink`."""
    try:
        user_id, account_id, code, *marks = signing.loads(signed, salt=SALT, max_age=GOOD_FOR)
        account = apps.get_model("accounts", "Account").objects.get(pk=account_id)
        kind = KINDS[code]
    except (signing.BadSignature, KeyError, ObjectDoesNotExist):
        raise BadLink from None
    person = Person(user_id, account.pk)
    email = mail_address_of(person)
    # Links of former versions have no mark.
    if not email or (marks and marks != [_mark(email)]):
        raise BadLink
    return Stop(person, kind, email, str(account))


def _mark(email: str) -> str:
    """Tells whether an address is the same. Without a key: links outlive SECRET_KEY."""
    return sha256(f"{SALT}:{email}".encode()).hexdigest()[:16]
