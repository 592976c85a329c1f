"""Sends the mails that wait in the database: never twice, never lost (docs/decisions).

The database is the queue, and any number of senders take from it. A sender claims mails for a while
(a lease), and marks each before and after the one step that cannot be undone
(`notifications.email.claims`). Killed while a mail is `claimed`, it was surely not taken: the next
sender takes it over when the lease has lapsed. Killed while it is `handing_over`, nobody can know
(RFC 1047): the mail is flagged, and held or sent again as its kind and the operator's policy say. A
sender has one mail at a time in that state, so that one death leaves at most one in doubt.
"""

import logging
from collections.abc import Callable, Collection
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.core.mail import EmailMessage
from django.db import connection, transaction

from notifications import jobs, services
from notifications.email import rendering, unsettled
from notifications.email.claims import (
    Batch,
    Clock,
    LostClaim,
    renewal_interval,
    resolve_uncertain_deliveries,
    resolve_uncertain_delivery,
)
from notifications.email.transport import (
    DeliveryFailed,
    DeliveryUnknown,
    MailTransport,
    open_transport,
)
from notifications.email.verdicts import Verdict
from notifications.models import Mail, State

logger = logging.getLogger(__name__)

HELP_FROM = 200
HEARTBEAT = jobs.DELIVERED
STALLED = "mails_held_up"
"""Not a heartbeat, but since when no server has taken a mail; there is none while mails leave."""
HEARTBEAT_EVERY = timedelta(seconds=10)


@dataclass
class Outcome:
    """What became of the mails of one run."""

    sent: int = 0
    dropped: int = 0
    postponed: int = 0
    failed: int = 0
    in_doubt: int = 0
    is_server_down: bool = False
    """True if the run ended because the mail server is down, or wants nothing from us."""

    @property
    def total(self) -> int:
        return self.sent + self.dropped + self.postponed + self.failed + self.in_doubt


@dataclass
class Sender:
    """Sends the mails of a batch one by one over one transport, and counts."""

    batch: Batch
    transport: MailTransport
    outcome: Outcome
    on_first_sent: Callable[[], None] = lambda: None
    heartbeat_at: datetime | None = None

    def send_batch(self, goes_on: Callable[[], bool]) -> bool:
        """Send what is claimed. False if the server is down: then the others wait, because one that
        loses a connection half-way would leave them all in doubt."""
        while self.batch.mails and goes_on():
            mail = self.batch.mails.pop(0)
            if reason := self._send(mail):
                self._postpone_rest(reason)
                return False
            self._beat()
        return True

    def _send(self, mail: Mail) -> str:
        """Send one claimed mail. Returns why the server is down; "" if it is not."""
        clock = self.batch.clock
        try:
            mail = self.batch.reread(mail)
            message = _compose(mail, at=clock())
            if message is None:
                self.outcome.dropped += self.batch.mark_dropped(mail)
                return ""
            self.transport.send(message, lambda: self._mark_handing_over(mail))
        except LostClaim:
            logger.warning("Mail %s waits: another sender has it, or its reader changed.", mail.pk)
            self.batch.put_back(mail)
        except DeliveryUnknown as doubt:
            self.outcome.in_doubt += resolve_uncertain_delivery(mail, str(doubt), at=clock())
            return str(doubt)
        except DeliveryFailed as failure:
            self._count_failure(self.batch.postpone(mail, failure))
            return str(failure) if failure.verdict is Verdict.SERVER_DOWN else ""
        else:
            self._count_sent(self.batch.mark_sent(mail))
        return ""

    def _mark_handing_over(self, mail: Mail) -> None:
        """The last look before the body. Whether an address that is not the reader's own is still
        the right one, only the renderer of the mail knows: it is asked again. Raises `LostClaim`.
        """
        if mail.address and _compose(self.batch.reread(mail), at=self.batch.clock()) is None:
            raise LostClaim
        self.batch.mark_handing_over(mail)

    def _count_sent(self, number: int) -> None:
        is_first = not self.outcome.sent
        self.outcome.sent += number
        if is_first and number:
            self.on_first_sent()

    def _count_failure(self, state: State | None) -> None:
        self.outcome.failed += state is State.FAILED
        self.outcome.postponed += state is State.PENDING

    def _postpone_rest(self, reason: str) -> None:
        failed, waiting = self.batch.postpone_rest(reason)
        self.outcome.failed += failed
        self.outcome.postponed += waiting
        self.outcome.is_server_down = True

    def _beat(self) -> None:
        """Let it be known from time to time that sending goes on, and keep the claims."""
        at = self.batch.clock()
        every = min(HEARTBEAT_EVERY, renewal_interval())
        if self.heartbeat_at is None or at - self.heartbeat_at >= every:
            _record_heartbeat(self.outcome, at=at)
            self.batch.renew_leases()
            self.heartbeat_at = at


def deliver(
    *,
    clock: Clock = jobs.database_now,
    until: datetime | None = None,
    is_stopping: Callable[[], bool] = lambda: False,
    on_first_sent: Callable[[], None] = lambda: None,
) -> Outcome:
    """Send what is due, over one connection, until nothing is left, it is `until`, the process
    `is_stopping`, or the mail server is down. What was claimed and not begun is given back.

    `on_first_sent` is called after the first mail that was taken: the server is well. Nothing is
    sent while a backup is put back and not settled. Raises
    `RuntimeError` within a transaction, which would void the commits that all of this rests on.
    """
    if unsettled.is_unsettled():
        logger.error(unsettled.BROKEN_OFF)
        return Outcome()
    batch = Batch(clock)
    outcome = Outcome(in_doubt=resolve_uncertain_deliveries(at=clock()))

    def goes_on() -> bool:
        return not is_stopping() and (until is None or clock() < until)

    with open_transport() as transport:
        sender = Sender(batch, transport, outcome, on_first_sent)
        try:
            while goes_on() and batch.claim() and sender.send_batch(goes_on):
                pass
        finally:
            batch.give_back()
    _record_heartbeat(outcome, at=clock())
    if outcome.total:
        logger.info("Mails: %s", outcome)
    return outcome


def _compose(mail: Mail, *, at: datetime) -> EmailMessage | None:
    """The mail as of now; None if there is nothing left to tell. A fault in rendering one mail is
    logged, kept with the mail, and does not hold up the others."""
    if not mail.user.is_active:
        return None
    try:
        rendered = rendering.render_mail(mail, at=at)
    except Exception as error:
        logger.exception("Mail %s could not be written.", mail.pk)
        reason = f"The email couldn't be written: {error!r}"
        raise DeliveryFailed(reason, Verdict.RETRY_LATER) from error
    return rendering.build_message(mail, rendered) if rendered else None


def _record_heartbeat(outcome: Outcome, *, at: datetime) -> None:
    """Record that sending goes on, and since when no mail leaves. One that waits alone says nothing
    of the server: its mailbox may be full for days."""
    jobs.record_heartbeat(name=HEARTBEAT, at=at)
    if outcome.sent:
        jobs.clear_heartbeat(name=STALLED)
    elif outcome.postponed + outcome.in_doubt > 1 or outcome.is_server_down:
        jobs.record_heartbeat(name=STALLED, at=at, only_first=True)


def needs_help(*, at: datetime) -> bool:
    """True if more mails are due than one sender has done soon. On SQLite, which has one writer at
    a time, another sender would be in the way."""
    if not connection.features.has_select_for_update_skip_locked:
        return False
    return Mail.objects.due(at)[HELP_FROM : HELP_FROM + 1].exists()


@transaction.atomic
def retry(*, mail: Mail, at: datetime) -> bool:
    """Send a mail that was held or given up after all; an operator decided so."""
    ended = Mail.objects.filter(pk=mail.pk, state__in=[State.HELD, State.FAILED])
    renewed = {"next_try_at": at, "give_up_at": at + services.GIVE_UP_AFTER, "tries": 0}
    return bool(ended.update(state=State.PENDING, owner="", **renewed))


@transaction.atomic
def extend(*, waiting: Collection[Mail], urgent: Collection[Mail], at: datetime) -> None:
    """Let these waiting mails, which the caller has locked, tell more: they are tried for as long
    as new ones would be, and the urgent ones are sent again in doubt."""
    Mail.objects.filter(pk__in=[mail.pk for mail in waiting]).update(
        give_up_at=at + services.GIVE_UP_AFTER
    )
    Mail.objects.filter(pk__in=[mail.pk for mail in urgent]).update(resend_in_doubt=True)
