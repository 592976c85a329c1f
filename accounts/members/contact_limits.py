"""Limits on mails to addresses that are no person's: the contacts of service accounts. Their owners
have asked for nothing, so an account can name and mail them only so often."""

from collections.abc import Iterable
from datetime import timedelta

from django.conf import settings
from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _

from accounts.members.readers import address_of
from accounts.models import Membership
from accounts.throttling import rate_limits
from accounts.throttling.rate_limits import Limit, TooManyTries
from notifications.kinds import Kind

DAY = timedelta(days=1)
MAILS = Limit("contact-mails", 20, DAY)
"""To one address, from one account, of one kind. Notices of expirations are not counted: those that
fall due together are one mail."""

MOST_ADDRESSES = 500
"""Of one account in a day, however many people operators let it invite: an account has at most 100
service accounts, and each number of a limit is an entry of the cache that is read."""
QUESTIONS = Limit("contact-questions", 3, DAY)
"""Whether it agrees, to one address from one account."""


def count_address(address: str, *, account_id: int) -> None:
    """Count an address that an account names, unless it is that of one of its members. Raises
    `ValidationError` with the code `too_many_addresses`."""
    members = Membership.objects.present().filter(account=account_id)
    if members.filter(user__email=address).exists():
        return
    limit = Limit("contact-addresses", min(settings.INVITATIONS_PER_DAY, MOST_ADDRESSES), DAY)
    try:
        rate_limits.acquire(limit, str(account_id))
    except TooManyTries:
        raise ValidationError(
            _(
                "An account can enter up to %(limit)d contact addresses in 24 hours, and this "
                "account has reached that limit. Choose a member, or try again tomorrow."
            ),
            code="too_many_addresses",
            params={"limit": limit.times},
        ) from None


def count_question(address: str, *, account_id: int) -> None:
    """Count a mail that asks an address whether it agrees. Raises `ValidationError` with the code
    `asked_too_often`."""
    try:
        rate_limits.acquire(QUESTIONS, f"{account_id} {address}")
    except TooManyTries:
        raise ValidationError(
            _("This address has been asked %(times)d times in 24 hours. Try again tomorrow."),
            code="asked_too_often",
            params={"times": QUESTIONS.times},
        ) from None


def reachable(readers: Iterable[Membership], kind: Kind) -> list[Membership]:
    """The readers without addresses that have got enough mails of this kind from the account."""
    return [each for each in readers if _is_within_limit(each, kind)]


def _is_within_limit(reader: Membership, kind: Kind) -> bool:
    address = address_of(reader)
    if not address:
        return True
    try:
        rate_limits.acquire(MAILS, f"{reader.account_id} {kind.code} {address}")
    except TooManyTries:
        return False
    return True
