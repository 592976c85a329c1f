"""Policy of mails about accounts: whether they are still wanted, and when they are retried."""

from datetime import datetime

from django.db import transaction

from accounts.audit import recorder as audit
from accounts.authorization.actor import Actor
from accounts.authorization.recheck import operators_only
from accounts.members.readers import address_of
from accounts.models import Membership
from notifications.email import delivery
from notifications.email.rendering import reader_of
from notifications.kinds import KINDS, Channel
from notifications.models import Mail
from notifications.preferences.services import wanted_channels


def is_wanted(mail: Mail) -> bool:
    """False if the recipient has left the account, or turned off such mails, in the meantime; and
    for an address that is not the contact of the service account any more."""
    person = reader_of(mail)
    found = Membership.everyone.of(mail.user).filter(account_id=person.account_id)
    member = found.select_related("user", "account", "service_account").first()
    if member is None or address_of(member) != mail.address:
        return False
    return Channel.EMAIL in wanted_channels([person], KINDS[mail.kind])[person]


@transaction.atomic
def retry_mail(*, mail: Mail, by: Actor, at: datetime) -> bool:
    """Retry a mail that was held or given up. False if it is neither.

    Raises `PermissionDenied` for everybody but operators.
    """
    by = operators_only(by, at)
    if not delivery.retry(mail=mail, at=at):
        return False
    audit.record(
        "mail.retried",
        by=by,
        at=at,
        account_id=mail.account_id,
        mail=str(mail.pk),
        kind_of_notice=mail.kind,
        to=mail.user_id,
    )
    return True
