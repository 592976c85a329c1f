"""Tokens that fall due during the chaos, and the verdict: what arrived, and how often."""

import itertools
import json
import random
from collections import Counter
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from pathlib import Path

from django.db.models import QuerySet

from accounts.models import Account, Membership, User
from accounts.roles import Role
from apitokens import keys
from apitokens.expiry import scan as expiry
from apitokens.expiry.schedule import first_notice_due
from apitokens.models import APIToken, ExpiryNotice
from apitokens.peppers import current_pepper
from notifications.email import delivery
from notifications.email.rendering import message_id
from notifications.kinds import Channel
from notifications.models import Heartbeat, Mail, Notice, State
from tests.faults.chaos import REJECTED
from tests.mailserver import NO_SUCH_USER

ACCOUNTS, PEOPLE_EACH = 12, 3
LISTED = 40
"""A mail names so many tokens; the rest is behind its link."""


def begin(*, at: datetime, lasts: timedelta, tokens_each: int) -> None:
    """People whose tokens fall due, for both notices, while the chaos lasts."""
    ids = itertools.count(200_000_000)  # drawn ones would collide now and then among so many
    for number in range(ACCOUNTS):
        account = Account.objects.create(name=f"Company {number}", token_limit=10_000)
        members = [_member(account, number, place) for place in range(PEOPLE_EACH)]
        tokens = [
            _token(next(ids), member, at, lasts)
            for member in members
            for _each in range(tokens_each)
        ]
        APIToken.objects.bulk_create(tokens)


def _member(account: Account, number: int, place: int) -> Membership:
    user = User.objects.create(email=f"person{number}-{place}@example.com", name=f"P{place}")
    role = Role.ENGINEERS if place else Role.ADMINISTRATORS
    return Membership.objects.create(account=account, user=user, role=role)


def _token(token_id: int, member: Membership, at: datetime, lasts: timedelta) -> APIToken:
    days = random.choice([1, 7])
    age = timedelta(days=2) if days == 1 else timedelta(days=90)
    end = at + timedelta(days=days) + lasts * random.random()
    return APIToken(
        pk=token_id,
        account_id=member.account_id,
        issuer=member,
        name="Nightly backup",
        role=Role.ENGINEERS,
        created_at=end - timedelta(days=days) - age,
        expires_at=end,
        notice_due_at=first_notice_due(end, created_at=end - timedelta(days=days) - age),
        digest=bytes(keys.DIGEST_BYTES),
        pepper=current_pepper(),
    )


@dataclass
class Verdict:
    """The figures. Only the first five must be 0."""

    undecided: int = 0
    unfinished: int = 0
    lost: int = 0
    doubled: int = 0
    incomplete: int = 0
    notices: int = 0
    mails: int = 0
    arrived: int = 0
    rejected: int = 0
    in_doubt: int = 0
    in_doubt_twice: int = 0
    in_doubt_held_arrived: int = 0
    in_doubt_held_not_arrived: int = 0
    doubts_left_by_server: int = 0

    @property
    def is_good(self) -> bool:
        return not any((self.undecided, self.unfinished, self.lost, self.doubled, self.incomplete))

    def __str__(self) -> str:
        return "\n".join(
            f"  {each.name.replace('_', ' '):<28}{getattr(self, each.name)}"
            for each in fields(self)
        )


def is_at_work() -> bool:
    """True when a worker has scanned and sent, even if there was nothing to tell."""
    return Heartbeat.objects.filter(name__in=[expiry.HEARTBEAT, delivery.HEARTBEAT]).count() == 2


def is_over(at: datetime) -> bool:
    """True when everything due has been decided, and every mail has come to its end."""
    due = APIToken.objects.undeleted().filter(notice_due_at__lte=at).exists()
    return not due and not _open_mails().exists()


def _open_mails() -> QuerySet[Mail]:
    return Mail.objects.filter(state__in=[State.PENDING, State.CLAIMED, State.HANDING_OVER])


def _failed_for_no_reason() -> QuerySet[Mail]:
    """Given up, though the server knows whom they are for."""
    failed = Mail.objects.filter(state=State.FAILED)
    return failed.exclude(user__email=REJECTED, reason=NO_SUCH_USER.rcpt)


def judge(record: Path) -> Verdict:
    """Compare what the portal wanted to tell with what the mail server took."""
    verdict = Verdict()
    lines = record.read_text().splitlines()
    verdict.doubts_left_by_server = lines.count("")
    taken = [json.loads(line) for line in lines if line]
    arrivals = Counter(each["id"] for each in taken)
    numbers = {each["id"]: set(each["numbers"]) for each in taken}
    verdict.arrived = len(taken)
    verdict.undecided = _undecided()
    verdict.unfinished = _open_mails().count() + _failed_for_no_reason().count()
    for mail in Mail.objects.select_related("user").iterator():
        _judge_mail(mail, arrivals[message_id(mail)], numbers.get(message_id(mail)), verdict)
    verdict.notices = ExpiryNotice.objects.count()
    return verdict


def _judge_mail(mail: Mail, times: int, told: set[int] | None, verdict: Verdict) -> None:
    verdict.mails += 1
    verdict.in_doubt += mail.was_in_doubt
    if mail.state == State.HELD:
        verdict.in_doubt_held_arrived += times > 0
        verdict.in_doubt_held_not_arrived += times == 0
    elif mail.user.email == REJECTED and mail.state == State.FAILED:
        verdict.rejected += 1
    elif times == 0:
        verdict.lost += 1
    if times > 1:
        verdict.in_doubt_twice += mail.was_in_doubt
        verdict.doubled += not mail.was_in_doubt
    tokens = set(ExpiryNotice.objects.filter(mail=mail).values_list("token_id", flat=True))
    if told is not None and len(tokens) <= LISTED and not tokens <= told:
        verdict.incomplete += 1


def _undecided() -> int:
    """Pairs of a token and a person, by both channels, that the ledger does not have exactly once;
    and inbox entries without a decision behind them, or the other way round."""
    decided = Counter(ExpiryNotice.objects.values_list("token_id", "user_id", "channel"))
    expected: set[tuple[int, int, str]] = set()
    administrators = dict(
        Membership.objects.filter(role=Role.ADMINISTRATORS).values_list("account_id", "user_id")
    )
    for token_id, account_id, user_id in APIToken.objects.values_list(
        "pk", "account_id", "issuer__user_id"
    ):
        for person in {user_id, administrators[account_id]}:
            expected |= {(token_id, person, channel.value) for channel in Channel}
    wrong = sum(decided[pair] != 1 for pair in expected) + len(set(decided) - expected)
    return wrong + _stray_entries()


def _stray_entries() -> int:
    """Each scan that decides to tell a person leaves one entry in their inbox."""
    portal = ExpiryNotice.objects.filter(channel=Channel.PORTAL)
    told = Counter(portal.values_list("user_id", "created_at").distinct())
    entries = Counter(Notice.objects.values_list("user_id", "created_at"))
    return (told - entries).total() + (entries - told).total()
