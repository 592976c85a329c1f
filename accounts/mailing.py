"""The operators' verbs about mails: what `notifications` does, on the record."""

from datetime import datetime

from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.utils.translation import gettext as _

from accounts import audit
from accounts.actors import Actor
from notifications import delivery
from notifications.models import Mail


@transaction.atomic
def retry_mail(*, mail: Mail, by: Actor, at: datetime) -> bool:
    """Send a mail after all that was held or given up. False if it is neither.

    Raises `PermissionDenied` for everybody but operators.
    """
    if not by.is_operator:
        raise PermissionDenied(_("Only operators of the portal do this."))
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
