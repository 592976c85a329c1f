"""What has to be done before a restored database may be used: nobody is told anything twice.

The backup has mails on their way that were sent since, and does not know of notices that fell due
since. So what is due by now is written into the ledger, and every open mail is put on hold: an
operator decides whether to send it.
"""

from datetime import datetime

from django.db import transaction

from accounts.audit import recorder as audit
from accounts.authorization.actor import Actor, EntryPoint
from apitokens.expiry import scan
from notifications.email import unsettled
from notifications.models import OPEN_STATES, Mail, State

REASON = "It was on its way, or due, when a backup was restored, and may have arrived."
EVENT = "database.restored"


@transaction.atomic
def settle(*, at: datetime, made_at: str) -> int:
    """Returns how many mails are on hold for it. Idempotent but for the event."""
    scan.scan(at=at)
    unsettled.drop_mark()
    held = Mail.objects.filter(state__in=OPEN_STATES).update(
        state=State.HELD, owner="", lease_until=None, reason=REASON, was_in_doubt=True
    )
    operator = Actor.operator(through=EntryPoint.COMMAND)
    audit.record(EVENT, by=operator, at=at, before=made_at, count=held)
    return held
