"""The mails that one sender has claimed, and the marks that say how far each has come.

A mail goes through

    pending → claimed → handing_over → sent

with a commit between. Every mark asks the database whether the mail is still this sender's: the
owner decides, not the lease. As long as no other sender took a mail over, it is ours.
"""

import logging
import os
import random
import socket
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID, uuid4

from django.conf import settings
from django.db import connection, transaction
from django.db.models import QuerySet

from notifications.email.transport import DeliveryFailed
from notifications.email.verdicts import Verdict
from notifications.links import redact
from notifications.models import Mail, State

logger = logging.getLogger(__name__)

CLAIM_AT_ONCE = 50
FIRST_PAUSE, LONGEST_PAUSE = timedelta(seconds=30), timedelta(hours=1)
RESENT_WITHIN_TRIES = 8
"""A server that takes mails and never says so must not get copies for days."""
LONGEST_REASON = 500
SENDER_DIED = "The sender stopped during delivery: the email may have arrived."

Clock = Callable[[], datetime]


class LostClaim(Exception):
    """The mail must not go out as it is: another sender has it, because the lease lapsed, or its
    reader has another address, is switched off or is gone."""


def _new_owner() -> str:
    """Unique; and as much of where it is as has room beside that: pods have long names."""
    unique = uuid4().hex
    room: int = Mail._meta.get_field("owner").max_length or 0
    place = f"{os.getpid()}@{socket.gethostname()}"
    return f"{unique}:{place}"[:room]


@dataclass
class Batch:
    """Some mails that this owner has claimed and not begun to send."""

    clock: Clock
    owner: str = field(default_factory=_new_owner)
    mails: list[Mail] = field(default_factory=list)

    @transaction.atomic(durable=True)
    def claim(self) -> bool:
        """Take over what dead senders left, and then what is due; False if there is nothing. The
        two are asked for one by one because each has an index of its own."""
        at = self.clock()
        found = _keys(Mail.objects.abandoned(at).order_by("lease_until"), CLAIM_AT_ONCE)
        found += _keys(Mail.objects.due(at).order_by("next_try_at"), CLAIM_AT_ONCE - len(found))
        free = Mail.objects.filter(pk__in=found, state__in=[State.PENDING, State.CLAIMED])
        free.update(state=State.CLAIMED, owner=self.owner, lease_until=at + lease())
        claimed = Mail.objects.filter(pk__in=found, state=State.CLAIMED, owner=self.owner)
        self.mails = list(claimed.order_by("next_try_at"))
        return bool(found)

    def reread(self, mail: Mail) -> Mail:
        """The mail with its reader and account as they are now: those before it may have taken a
        while. Raises `LostClaim`."""
        found = self._ours([mail]).filter(state=State.CLAIMED).select_related("user", "account")
        if (present := found.first()) is None:
            raise LostClaim
        return present

    def renew_leases(self) -> None:
        """Hold on to what was not begun: a slow mail server must not set the next sender on it."""
        self._ours(self.mails).update(lease_until=self.clock() + lease())

    def mark_handing_over(self, mail: Mail) -> None:
        """Commit that the next step cannot be undone. Raises `LostClaim` if it is not ours, or not
        the reader's any more for whom it was written: the server may have been slow."""
        reader = {"user__email": mail.user.email, "user__is_active": True}
        marked = self._ours([mail]).filter(state=State.CLAIMED, **reader)
        lease_until = self.clock() + lease()
        if not marked.update(state=State.HANDING_OVER, lease_until=lease_until):
            raise LostClaim

    def mark_dropped(self, mail: Mail) -> int:
        """End a mail that has nothing left to tell. Returns 1, or 0 if it is not ours."""
        return self._release([mail], State.DROPPED, reason="")

    def mark_sent(self, mail: Mail) -> int:
        """End a mail that the server took. That holds even if its answer came so late that other
        senders were in doubt, as long as none has claimed the mail again: it needs no repeat."""
        sent_at = self.clock()
        if ended := self._release([mail], State.SENT, sent_at=sent_at, reason=""):
            return ended
        doubted = Mail.objects.filter(pk=mail.pk, owner="", was_in_doubt=True)
        still = doubted.filter(state__in=[State.PENDING, State.HELD])
        return still.update(state=State.SENT, sent_at=sent_at, reason="")

    def postpone(self, mail: Mail, failure: DeliveryFailed) -> State | None:
        """Let a mail be tried again, each time after a longer pause, and give up after three days.
        Returns the state it has now, or None if it is not ours."""
        later = self.clock() + pause(mail.tries)
        gives_up = failure.verdict is Verdict.REJECTED or later > mail.give_up_at
        state = State.FAILED if gives_up else State.PENDING
        reason = _to_keep(str(failure))
        changes = {"tries": mail.tries + 1, "next_try_at": later, "reason": reason}
        if not self._release([mail], state, **changes):
            return None
        if gives_up:
            logger.error("Mail %s was given up: %s", mail.pk, failure)
        return state

    def postpone_rest(self, reason: str) -> tuple[int, int]:
        """Let the others wait a little without having been tried, but not for ever. Returns how
        many were given up, and how many wait."""
        later, reason = self.clock() + pause(0), _to_keep(reason)
        late = [mail for mail in self.mails if mail.give_up_at < later]
        failed = self._release(late, State.FAILED, reason=reason)
        waiting = self._release(self.mails, State.PENDING, reason=reason, next_try_at=later)
        self.mails = []
        return failed, waiting

    def put_back(self, mail: Mail) -> None:
        """Let a mail that was not handed over be claimed again, and be written anew."""
        claimed = self._ours([mail]).filter(state=State.CLAIMED)
        claimed.update(state=State.PENDING, owner="", lease_until=None)

    def give_back(self) -> None:
        """Leave what was claimed and not begun to the next sender."""
        if self.mails:
            self._release(self.mails, State.PENDING)

    def _release(self, some: Iterable[Mail], state: State, **changes: object) -> int:
        """Give mails a state in which no sender has them. Returns how many were ours."""
        return self._ours(some).update(state=state, owner="", lease_until=None, **changes)

    def _ours(self, some: Iterable[Mail]) -> QuerySet[Mail]:
        return Mail.objects.filter(pk__in=[mail.pk for mail in some], owner=self.owner)


@transaction.atomic(durable=True)
def resolve_uncertain_deliveries(*, at: datetime) -> int:
    """Decide about mails whose sender died during the hand-over: hold them, or send them again."""
    uncertain = list(_locked(Mail.objects.in_doubt(at)))
    return sum(resolve_uncertain_delivery(mail, SENDER_DIED, at=at) for mail in uncertain)


def resolve_uncertain_delivery(mail: Mail, reason: str, *, at: datetime) -> int:
    """Flag a mail that may have arrived, and hold it or send it again. Idempotent; changes nothing
    if its sender has settled it meanwhile."""
    resends = _resends(mail)
    settled = Mail.objects.filter(pk=mail.pk, state=State.HANDING_OVER, owner=mail.owner).update(
        state=State.PENDING if resends else State.HELD,
        was_in_doubt=True,
        next_try_at=at + pause(mail.tries),
        tries=mail.tries + 1,
        reason=_to_keep(reason),
        owner="",
        lease_until=None,
    )
    if settled:
        logger.warning("Mail %s is in doubt (%s).", mail.pk, "sent again" if resends else "held")
    return settled


def _to_keep(reason: str) -> str:
    """What operators read of it: mail servers quote the mail that they refuse, and its link. A link
    is redacted while it is whole."""
    return redact(reason)[:LONGEST_REASON]


def _resends(mail: Mail) -> bool:
    policy = settings.UNCERTAIN_DELIVERY
    wanted = mail.resend_in_doubt if policy == "default" else policy == "resend"
    return wanted and (not mail.was_in_doubt or mail.tries < RESENT_WITHIN_TRIES)


def lease() -> timedelta:
    """How long a claim holds: longer than one hand-over can take at the worst."""
    return timedelta(seconds=12 * settings.EMAIL_TIMEOUT)


def renewal_interval() -> timedelta:
    """How often a sender renews its claims, well before they lapse."""
    return lease() / 3


def pause(tries: int) -> timedelta:
    """Half a minute, doubled with each try up to an hour, and spread by half either way so that
    many mails do not come back at the same instant."""
    longest: timedelta = min(FIRST_PAUSE * 2 ** min(tries, 10), LONGEST_PAUSE)
    return longest * random.uniform(0.5, 1.5)  # noqa: S311  # not a secret


def _keys(rows: QuerySet[Mail], most: int) -> list[UUID]:
    return list(_locked(rows[:most]).values_list("pk", flat=True)) if most else []


def _locked(rows: QuerySet[Mail]) -> QuerySet[Mail]:
    """Rows that no other sender has in hand. On SQLite the transaction holds the whole database."""
    if connection.features.has_select_for_update_skip_locked:
        return rows.select_for_update(skip_locked=True, of=("self",))
    return rows
