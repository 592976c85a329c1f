"""Sends the mails that wait in the database: never twice, never lost (docs/decisions).

The database is the queue; whoever runs `deliver` is one of any number of senders. A sender claims
mails for a while (a lease), and each goes through

    pending → claimed → handing_over → sent

with a commit between. Killed while `claimed`, a mail was surely not taken: the next sender takes it
over when the lease has lapsed. Killed while `handing_over`, nobody can know (RFC 1047): the mail is
flagged, and held or sent again as its kind and the operator's policy say.
"""

import logging
import os
import random
import socket
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID, uuid4

from django.conf import settings
from django.db import connection, transaction
from django.db.models import QuerySet
from django.utils import timezone

from notifications import mails, services
from notifications.models import Mail, State
from notifications.smtp import Door, InDoubt, NotTaken, door

logger = logging.getLogger(__name__)

CLAIM_AT_ONCE = 50
FIRST_PAUSE, LONGEST_PAUSE = timedelta(seconds=30), timedelta(hours=1)
HEARTBEAT = "mails_delivered"
IN_DOUBT = "The sender stopped during the hand-over: the mail may have arrived."

Clock = Callable[[], datetime]


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

    @property
    def total(self) -> int:
        return self.sent + self.dropped + self.postponed + self.failed + self.in_doubt


@dataclass
class Sender:
    """One run of sending: its name, its clock, its count."""

    clock: Clock = timezone.now
    name: str = field(default_factory=lambda: f"{socket.gethostname()}:{os.getpid()}:{uuid4().hex}")
    outcome: Outcome = field(default_factory=Outcome)


def deliver(*, clock: Clock = timezone.now, until: datetime | None = None) -> Outcome:
    """Send what is due, over one connection, until nothing is left or it is `until`."""
    sender = Sender(clock)
    settle_doubts(at=clock())
    with door() as open_door:
        while (until is None or clock() < until) and (claimed := _claim(sender)):
            for number, mail in enumerate(claimed):
                if _send(mail, sender, open_door):
                    continue
                _release([each.pk for each in claimed[number + 1 :]], sender)
                break
    services.beat(name=HEARTBEAT, at=clock())
    if sender.outcome.total:
        logger.info("Mails: %s", sender.outcome)
    return sender.outcome


@transaction.atomic
def settle_doubts(*, at: datetime) -> int:
    """Decide about mails whose sender died during the hand-over: hold them, or send them again."""
    doubtful = list(_locked(Mail.objects.in_doubt(at)))
    for mail in doubtful:
        _settle_doubt(mail, IN_DOUBT, at=at)
    return len(doubtful)


@transaction.atomic
def retry(*, mail: Mail, at: datetime) -> bool:
    """Send a mail that was held or given up after all; an operator decided so."""
    ended = Mail.objects.filter(pk=mail.pk, state__in=[State.HELD, State.FAILED])
    renewed = {"next_try_at": at, "give_up_at": at + services.GIVE_UP_AFTER, "tries": 0}
    return bool(ended.update(state=State.PENDING, owner="", **renewed))


def lease() -> timedelta:
    """How long a claim holds: three times what one mail can take at the worst."""
    return timedelta(seconds=3 * 4 * settings.EMAIL_TIMEOUT)


@transaction.atomic
def _claim(sender: Sender) -> list[Mail]:
    at = sender.clock()
    waiting = Mail.objects.waiting(at).order_by("next_try_at")[:CLAIM_AT_ONCE]
    found = list(_locked(waiting).values_list("pk", flat=True))
    Mail.objects.filter(pk__in=found).update(
        state=State.CLAIMED, owner=sender.name, lease_until=at + lease()
    )
    claimed = Mail.objects.filter(pk__in=found).select_related("user", "account")
    return list(claimed.order_by("next_try_at"))


def _locked(rows: QuerySet[Mail]) -> QuerySet[Mail]:
    """Rows that nobody else has in hand. On SQLite the transaction holds the whole database."""
    if connection.features.has_select_for_update_skip_locked:
        return rows.select_for_update(skip_locked=True, of=("self",))
    return rows


def _send(mail: Mail, sender: Sender, open_door: Door) -> bool:
    """Send one claimed mail. False if the server is down, so that the others should wait."""
    outcome = sender.outcome
    with mails.in_readers_language(mail):
        letter = mails.write(mail) if mail.user.is_active else None
    if letter is None:
        outcome.dropped += _move(mail, sender, State.DROPPED)
        return True
    try:
        message = mails.compose(mail, letter)
        open_door.hand_over(message, lambda: _mark_hand_over(mail, sender))
    except LostClaim:
        logger.warning("Mail %s took too long; another sender has it.", mail.pk)
    except InDoubt as doubt:
        outcome.in_doubt += 1
        with transaction.atomic():
            _settle_doubt(mail, str(doubt), at=sender.clock())
    except NotTaken as refusal:
        _postpone(mail, sender, refusal)
        return not refusal.server_down
    except ValueError as error:  # an address that no header can hold
        _postpone(mail, sender, NotTaken(str(error), is_final=True))
    else:
        outcome.sent += _move(mail, sender, State.SENT, sent_at=sender.clock())
    return True


def _mark_hand_over(mail: Mail, sender: Sender) -> None:
    """Commit that the next step cannot be undone. Raises `LostClaim` if it is not ours to take."""
    at = sender.clock()
    ours = Mail.objects.filter(
        pk=mail.pk, state=State.CLAIMED, owner=sender.name, lease_until__gt=at
    )
    if not ours.update(state=State.HANDING_OVER, lease_until=at + lease()):
        raise LostClaim
    mail.state = State.HANDING_OVER


def _move(mail: Mail, sender: Sender, state: State, **facts: object) -> int:
    ours = Mail.objects.filter(pk=mail.pk, owner=sender.name, state=mail.state)
    return ours.update(state=state, lease_until=None, reason="", **facts)


def _postpone(mail: Mail, sender: Sender, refusal: NotTaken) -> None:
    """Try again later, each time after a longer pause, and give up after three days."""
    at = sender.clock()
    later = at + pause(mail.tries)
    gives_up = refusal.is_final or later > mail.give_up_at
    state = State.FAILED if gives_up else State.PENDING
    Mail.objects.filter(pk=mail.pk, owner=sender.name).update(
        state=state,
        tries=mail.tries + 1,
        next_try_at=later,
        reason=str(refusal)[:500],
        owner="",
        lease_until=None,
    )
    if gives_up:
        sender.outcome.failed += 1
        logger.error("Mail %s was given up: %s", mail.pk, refusal)
    else:
        sender.outcome.postponed += 1


def pause(tries: int) -> timedelta:
    """Half a minute, doubled with each try up to an hour, and spread by half either way so that
    many mails do not come back at the same instant."""
    longest: timedelta = min(FIRST_PAUSE * 2 ** min(tries, 10), LONGEST_PAUSE)
    return longest * random.uniform(0.5, 1.5)  # noqa: S311  # not a secret


def _release(unsent: list[UUID], sender: Sender) -> None:
    """Give back what was claimed and not begun."""
    Mail.objects.filter(pk__in=unsent, owner=sender.name, state=State.CLAIMED).update(
        state=State.PENDING,
        owner="",
        lease_until=None,
        next_try_at=sender.clock() + pause(0),
        reason="The mail server could not be reached.",
    )
    sender.outcome.postponed += len(unsent)


def _settle_doubt(mail: Mail, reason: str, *, at: datetime) -> None:
    policy = settings.NOTICES_IN_DOUBT
    resends = mail.resend_in_doubt if policy == "default" else policy == "resend"
    Mail.objects.filter(pk=mail.pk, state=State.HANDING_OVER).update(
        state=State.PENDING if resends else State.HELD,
        was_in_doubt=True,
        next_try_at=at,
        tries=mail.tries + 1,
        reason=reason[:500],
        owner="",
        lease_until=None,
    )
    logger.warning("Mail %s is in doubt (%s).", mail.pk, "sent again" if resends else "held")
