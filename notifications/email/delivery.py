"""Sends the mails that wait in the database: never twice, never lost (docs/decisions).

The database is the queue; whoever runs `deliver` is one of any number of senders. A sender claims
mails for a while (a lease), and each goes through

    pending → claimed → handing_over → sent

with a commit between. Killed while `claimed`, a mail was surely not taken: the next sender takes it
over when the lease has lapsed. Killed while `handing_over`, nobody can know (RFC 1047): the mail is
flagged, and held or sent again as its kind and the operator's policy say. A sender has one mail at
a time in that state, so that one death leaves at most one in doubt.
"""

import logging
import os
import random
import socket
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property
from uuid import UUID, uuid4

from django.conf import settings
from django.core.mail import EmailMessage
from django.db import connection, transaction
from django.db.backends.utils import CursorWrapper
from django.db.models import QuerySet
from django.utils import timezone

from notifications import services
from notifications.email import rendering
from notifications.email.transport import (
    DeliveryFailed,
    DeliveryUnknown,
    MailTransport,
    open_transport,
)
from notifications.email.verdicts import Verdict
from notifications.models import Mail, State

logger = logging.getLogger(__name__)

CLAIM_AT_ONCE, HELP_FROM = 50, 200
FIRST_PAUSE, LONGEST_PAUSE = timedelta(seconds=30), timedelta(hours=1)
RESENT_WITHIN_TRIES = 8
"""A server that takes mails and never says so must not get copies for days."""
HEARTBEAT = "mails_delivered"
STALLED = "mails_held_up"
"""Not a beat, but since when no server has taken a mail; there is none while mails leave."""
BEAT_EVERY = timedelta(seconds=10)
IN_DOUBT = "The sender stopped during the hand-over: the mail may have arrived."

Clock = Callable[[], datetime]

# The two marks of every mail. The ORM would take longer to write them, anew each time, than the
# database to carry them out: a fifth of what a mail costs a sender.
HAND_OVER = f"""
    UPDATE "{Mail._meta.db_table}" SET "state" = %s, "lease_until" = %s
    WHERE "id" = %s AND "owner" = %s AND "state" = '{State.CLAIMED}'
""".strip()  # noqa: S608  # all that is put in is ours
END = f"""
    UPDATE "{Mail._meta.db_table}"
    SET "state" = %s, "sent_at" = %s, "lease_until" = NULL, "owner" = '', "reason" = ''
    WHERE "id" = %s AND "owner" = %s
""".strip()  # noqa: S608
COMMIT_SOON = " AND set_config('synchronous_commit', 'off', true) = 'off'"
"""PostgreSQL ends the transaction that asks for it without waiting for the disk."""


class LostClaim(Exception):
    """Somebody else has this mail now: the lease lapsed."""


@dataclass
class Outcome:
    """What became of the mails that this run had in hand."""

    sent: int = 0
    dropped: int = 0
    postponed: int = 0
    failed: int = 0
    in_doubt: int = 0
    is_cut_off: bool = False
    """True if the run ended because the mail server is down, or wants nothing from us."""

    @property
    def total(self) -> int:
        return self.sent + self.dropped + self.postponed + self.failed + self.in_doubt


@dataclass
class Sender:
    """One run of sending: its name, its clock, what it has in hand, its count."""

    clock: Clock = timezone.now
    name: str = field(default_factory=lambda: f"{socket.gethostname()}:{os.getpid()}:{uuid4().hex}")
    in_hand: list[Mail] = field(default_factory=list)
    outcome: Outcome = field(default_factory=Outcome)
    once_taken: Callable[[], None] = lambda: None
    beaten_at: datetime | None = None

    @cached_property
    def marks(self) -> CursorWrapper:
        """What the two marks of every mail are written with: a new one each takes as long again."""
        return connection.cursor()

    def count_sent(self, number: int) -> None:
        is_first = not self.outcome.sent
        self.outcome.sent += number
        if is_first and number:
            self.once_taken()

    def beat(self) -> None:
        """Let it be known from time to time that sending goes on, and hold on to what is in hand:
        a slow mail server must not set the next sender on it."""
        at = self.clock()
        if self.beaten_at is None or at - self.beaten_at >= min(BEAT_EVERY, lease() / 3):
            services.record_heartbeat(name=HEARTBEAT, at=at)
            _note_hold_up(self.outcome, at=at)
            _ours(self.in_hand, self).update(lease_until=at + lease())
            self.beaten_at = at


def deliver(
    *,
    clock: Clock = timezone.now,
    until: datetime | None = None,
    is_stopping: Callable[[], bool] = lambda: False,
    once_taken: Callable[[], None] = lambda: None,
) -> Outcome:
    """Send what is due, over one connection, until nothing is left, it is `until`, the process
    `is_stopping`, or the mail server is down. What was claimed and not begun is given back.

    `once_taken` is called after the first mail that was taken: the server is well. Raises
    `RuntimeError` within a transaction, which would void the commits that all of this rests on.
    """
    sender = Sender(clock, once_taken=once_taken)
    sender.outcome.in_doubt += resolve_uncertain_deliveries(at=clock())

    def goes_on() -> bool:
        return not is_stopping() and (until is None or clock() < until)

    with open_transport() as mail_transport:
        try:
            while goes_on() and _claim(sender):
                if not _send_all(sender, mail_transport, goes_on):
                    break
        finally:
            _give_back(sender)
    services.record_heartbeat(name=HEARTBEAT, at=clock())
    _note_hold_up(sender.outcome, at=clock())
    if sender.outcome.total:
        logger.info("Mails: %s", sender.outcome)
    return sender.outcome


def _note_hold_up(outcome: Outcome, *, at: datetime) -> None:
    """Remember since when no mail leaves. One that waits alone says nothing of the server: its
    mailbox may be full for days."""
    if outcome.sent:
        services.stop_beating(name=STALLED)
    elif outcome.postponed + outcome.in_doubt > 1 or outcome.is_cut_off:
        services.record_heartbeat(name=STALLED, at=at, only_first=True)


def needs_help(*, at: datetime) -> bool:
    """True if more mails are due than one sender has done soon. On SQLite, which has one writer at
    a time, another sender would be in the way."""
    if not connection.features.has_select_for_update_skip_locked:
        return False
    return Mail.objects.due(at)[HELP_FROM : HELP_FROM + 1].exists()


@transaction.atomic(durable=True)
def resolve_uncertain_deliveries(*, at: datetime) -> int:
    """Decide about mails whose sender died during the hand-over: hold them, or send them again."""
    doubtful = list(_locked(Mail.objects.in_doubt(at)))
    return sum(_resolve_uncertain_delivery(mail, IN_DOUBT, at=at) for mail in doubtful)


@transaction.atomic
def retry(*, mail: Mail, at: datetime) -> bool:
    """Send a mail that was held or given up after all; an operator decided so."""
    ended = Mail.objects.filter(pk=mail.pk, state__in=[State.HELD, State.FAILED])
    renewed = {"next_try_at": at, "give_up_at": at + services.GIVE_UP_AFTER, "tries": 0}
    return bool(ended.update(state=State.PENDING, owner="", **renewed))


@transaction.atomic
def extend(*, waiting: Collection[Mail], urgent: Collection[Mail], at: datetime) -> None:
    """More news goes with these waiting mails, which the caller has locked: they are tried for as
    long as new ones would be, and the urgent ones are sent again in doubt."""
    Mail.objects.filter(pk__in=[mail.pk for mail in waiting]).update(
        give_up_at=at + services.GIVE_UP_AFTER
    )
    Mail.objects.filter(pk__in=[mail.pk for mail in urgent]).update(resend_in_doubt=True)


def lease() -> timedelta:
    """How long a claim holds: longer than one hand-over can take at the worst."""
    return timedelta(seconds=12 * settings.EMAIL_TIMEOUT)


def pause(tries: int) -> timedelta:
    """Half a minute, doubled with each try up to an hour, and spread by half either way so that
    many mails do not come back at the same instant."""
    longest: timedelta = min(FIRST_PAUSE * 2 ** min(tries, 10), LONGEST_PAUSE)
    return longest * random.uniform(0.5, 1.5)  # noqa: S311  # not a secret


@transaction.atomic(durable=True)
def _claim(sender: Sender) -> bool:
    """Take over what dead senders left, and then what is due; False if there is nothing. The two
    are asked for one by one because each has an index of its own."""
    at = sender.clock()
    found = _keys(Mail.objects.abandoned(at).order_by("lease_until"), CLAIM_AT_ONCE)
    found += _keys(Mail.objects.due(at).order_by("next_try_at"), CLAIM_AT_ONCE - len(found))
    free = Mail.objects.filter(pk__in=found, state__in=[State.PENDING, State.CLAIMED])
    free.update(state=State.CLAIMED, owner=sender.name, lease_until=at + lease())
    claimed = Mail.objects.filter(pk__in=found, state=State.CLAIMED, owner=sender.name)
    sender.in_hand = list(claimed.select_related("user", "account").order_by("next_try_at"))
    return bool(found)


def _keys(rows: QuerySet[Mail], most: int) -> list[UUID]:
    return list(_locked(rows[:most]).values_list("pk", flat=True)) if most else []


def _locked(rows: QuerySet[Mail]) -> QuerySet[Mail]:
    """Rows that nobody else has in hand. On SQLite the transaction holds the whole database."""
    if connection.features.has_select_for_update_skip_locked:
        return rows.select_for_update(skip_locked=True, of=("self",))
    return rows


def _send_all(sender: Sender, mail_transport: MailTransport, goes_on: Callable[[], bool]) -> bool:
    """Send what is in hand, one by one. False if the server is down."""
    while sender.in_hand and goes_on():
        mail = sender.in_hand.pop(0)
        if not _send(mail, sender, mail_transport):
            _put_off(sender, reason=mail.reason)
            sender.outcome.is_cut_off = True
            return False
        sender.beat()
    return True


def _send(mail: Mail, sender: Sender, mail_transport: MailTransport) -> bool:
    """Send one claimed mail. False if the server is down, so that the others should wait: one that
    loses a connection half-way would leave them all in doubt."""
    try:
        message = _compose(mail, sender)
        if message is None:
            sender.outcome.dropped += _end(mail, sender, State.DROPPED)
            return True
        mail_transport.send(message, lambda: _mark_hand_over(mail, sender))
    except LostClaim:
        logger.warning("Mail %s took too long; another sender has it.", mail.pk)
    except DeliveryUnknown as doubt:
        sender.outcome.in_doubt += _resolve_uncertain_delivery(mail, str(doubt), at=sender.clock())
        return False
    except DeliveryFailed as refusal:
        _postpone(mail, sender, refusal)
        return refusal.verdict is not Verdict.SERVER_DOWN
    else:
        sender.count_sent(_end(mail, sender, State.SENT, sent_at=sender.clock()))
    return True


def _compose(mail: Mail, sender: Sender) -> EmailMessage | None:
    """The mail as of now; None if there is nothing left to tell. A fault in writing one mail is
    logged, kept with the mail, and does not hold up the others."""
    if not mail.user.is_active:
        return None
    try:
        rendered = rendering.render_mail(mail, at=sender.clock())
    except Exception as error:
        logger.exception("Mail %s could not be written.", mail.pk)
        reason = f"The mail could not be written: {error!r}"
        raise DeliveryFailed(reason, Verdict.RETRY_LATER) from error
    return rendering.build_message(mail, rendered) if rendered else None


def _mark_hand_over(mail: Mail, sender: Sender) -> None:
    """Commit that the next step cannot be undone. Raises `LostClaim` if it is not ours to take.

    The owner decides, not the lease: as long as nobody else took the mail, it is ours.
    """
    if not _mark(HAND_OVER, mail, sender, State.HANDING_OVER, sender.clock() + lease()):
        raise LostClaim


def _end(mail: Mail, sender: Sender, state: State, sent_at: datetime | None = None) -> int:
    """The mail's story is over. That holds even if our answer came so late that others had begun to
    doubt, as long as none of them has taken it in hand: what is sent needs no second try.

    The mark need not have reached the disk before we go on. No death of a process undoes it. A
    power cut may, for the last mail of each sender, which is in doubt then, as if its sender had
    died a moment sooner: the `handing_over` of the next mail waits for the disk, and takes along
    all that was committed before it.
    """
    is_on_postgresql = sender.marks.db.vendor == "postgresql"
    statement = END + COMMIT_SOON if is_on_postgresql else END
    ended = _mark(statement, mail, sender, state, sent_at)
    if not ended and state == State.SENT:
        doubted = Mail.objects.filter(pk=mail.pk, owner="", was_in_doubt=True)
        still = doubted.filter(state__in=[State.PENDING, State.HELD])
        ended = still.update(state=state, sent_at=sent_at, reason="")
    return ended


def _mark(statement: str, mail: Mail, sender: Sender, state: State, moment: datetime | None) -> int:
    """Carry out one of the two statements. Returns how many mails it was about: 1, or none."""
    database = sender.marks.db
    moment_value = database.ops.adapt_datetimefield_value(moment)
    pk = Mail._meta.pk.get_db_prep_value(mail.pk, database)
    sender.marks.execute(statement, [state.value, moment_value, pk, sender.name])
    number: int = sender.marks.rowcount
    return number


def _postpone(mail: Mail, sender: Sender, refusal: DeliveryFailed) -> None:
    """Try again later, each time after a longer pause, and give up after three days."""
    mail.reason = str(refusal)[:500]
    later = sender.clock() + pause(mail.tries)
    gives_up = refusal.verdict is Verdict.REJECTED or later > mail.give_up_at
    kept = _ours([mail], sender).update(
        state=State.FAILED if gives_up else State.PENDING,
        tries=mail.tries + 1,
        next_try_at=later,
        reason=mail.reason,
        owner="",
        lease_until=None,
    )
    if gives_up:
        sender.outcome.failed += kept
        logger.error("Mail %s was given up: %s", mail.pk, refusal)
    else:
        sender.outcome.postponed += kept


def _put_off(sender: Sender, *, reason: str) -> None:
    """The server is down: the others wait a little without having been tried, but not for ever."""
    later = sender.clock() + pause(0)
    changes = {"reason": reason, "owner": "", "lease_until": None}
    ours = _ours(sender.in_hand, sender)
    failed = ours.filter(give_up_at__lt=later).update(state=State.FAILED, **changes)
    put_off = ours.update(state=State.PENDING, next_try_at=later, **changes)
    sender.outcome.failed += failed
    sender.outcome.postponed += put_off
    sender.in_hand = []


def _give_back(sender: Sender) -> None:
    """What this run claimed and did not begin is the next one's."""
    if sender.in_hand:
        ours = _ours(sender.in_hand, sender)
        ours.update(state=State.PENDING, owner="", lease_until=None)


def _ours(some: Iterable[Mail], sender: Sender) -> QuerySet[Mail]:
    return Mail.objects.filter(pk__in=[mail.pk for mail in some], owner=sender.name)


def _resolve_uncertain_delivery(mail: Mail, reason: str, *, at: datetime) -> int:
    """Flag it, and hold it or send it again. Dull if its sender has settled it meanwhile."""
    resends, mail.reason = _resends(mail), reason[:500]
    settled = Mail.objects.filter(pk=mail.pk, state=State.HANDING_OVER, owner=mail.owner).update(
        state=State.PENDING if resends else State.HELD,
        was_in_doubt=True,
        next_try_at=at + pause(mail.tries),
        tries=mail.tries + 1,
        reason=mail.reason,
        owner="",
        lease_until=None,
    )
    if settled:
        logger.warning("Mail %s is in doubt (%s).", mail.pk, "sent again" if resends else "held")
    return settled


def _resends(mail: Mail) -> bool:
    policy = settings.UNCERTAIN_DELIVERY
    wanted = mail.resend_in_doubt if policy == "default" else policy == "resend"
    return wanted and (not mail.was_in_doubt or mail.tries < RESENT_WITHIN_TRIES)
