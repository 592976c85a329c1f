"""Tells people in time that their tokens expire: finds what is due, for everybody at once.

A scan writes the ledger (`ExpiryNotice`), the inbox entries and the mails of some accounts in one
transaction; sending is another story (`notifications.delivery`). Running it twice, or in two places
at once, is dull.
"""

import logging
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from urllib.parse import quote, urlencode

from django.db import connection, transaction
from django.db.models import F, Q
from django.urls import reverse
from django.utils import translation
from django.utils.translation import ngettext

from accounts.models import Membership
from accounts.roles import Role
from apitokens.models import APIToken, APITokenQuerySet, ExpiryNotice
from apitokens.thresholds import NOTICE_DAYS, due_threshold
from notifications import services as notifications
from notifications.kinds import TOKEN_EXPIRING, Channel
from notifications.models import Mail, State
from notifications.preferences import Person, wanted_channels
from notifications.services import News

logger = logging.getLogger(__name__)

HEARTBEAT = "expirations_scanned"
ACCOUNTS_AT_ONCE = 200
LOCK = 0x7065726D
"""The number of the advisory lock that lets one scan at a time write (PostgreSQL)."""
MOST_IDS_IN_LINK = 50


@dataclass
class Scan:
    """What a scan found and decided."""

    tokens: int = 0
    notices: int = 0
    mails: int = 0


@dataclass
class Digest:
    """What one person is told about one account."""

    member: Membership
    tokens: list[APIToken] = field(default_factory=list)

    @property
    def person(self) -> Person:
        return Person(self.member.user_id, self.member.account_id)


def scan(*, at: datetime) -> Scan:
    """Decide who has to be told what as of `at`, and put it into inboxes and on its way."""
    done = Scan()
    while _scan_some(done, at=at):
        logger.info("Expirations: %d tokens due, %d mails so far", done.tokens, done.mails)
    notifications.beat(name=HEARTBEAT, at=at)
    return done


def preview(*, at: datetime) -> Iterator[tuple[Digest, set[Channel]]]:
    """Who would be told what by a scan at this moment. Changes nothing."""
    for account_id in _accounts_due(at):
        digests = _digests([account_id], at=at)
        wanted = wanted_channels([digest.person for digest in digests], TOKEN_EXPIRING)
        for digest in digests:
            yield digest, wanted[digest.person]


def due(at: datetime) -> APITokenQuerySet:
    """Tokens about which somebody should be told now, and was not."""
    return APIToken.objects.active(at).filter(notice_due_at__lte=at)


def _accounts_due(at: datetime) -> list[int]:
    waiting = APIToken.objects.undeleted().filter(notice_due_at__lte=at)
    return list(waiting.order_by("account_id").values_list("account_id", flat=True).distinct())


@transaction.atomic
def _scan_some(done: Scan, *, at: datetime) -> bool:
    """Work on the next accounts. False if there are none, or if another scan is at work."""
    if not _is_alone():
        logger.info("Another scan is at work.")
        return False
    account_ids = _accounts_due(at)[:ACCOUNTS_AT_ONCE]
    if not account_ids:
        return False
    digests = _digests(account_ids, at=at)
    _tell(digests, done, at=at)
    done.tokens += _advance(account_ids, at=at)
    return True


def _is_alone() -> bool:
    if connection.vendor != "postgresql":
        return True  # the transaction is IMMEDIATE: nobody else writes
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [LOCK])
        (is_ours,) = cursor.fetchone()
        return bool(is_ours)


def _digests(account_ids: list[int], *, at: datetime) -> list[Digest]:
    """For each person of these accounts who has to be told: their due tokens, soonest first.

    The issuer is told of their own tokens, every Administrator of all.
    """
    tokens = list(
        due(at).filter(account_id__in=account_ids).defer("digest").order_by("expires_at", "pk")
    )
    issuers = {token.issuer_id for token in tokens}
    members = (
        Membership.objects.present()
        .filter(Q(role=Role.ADMINISTRATORS) | Q(pk__in=issuers), account_id__in=account_ids)
        .select_related("user", "account")
        .order_by("pk")
    )
    by_account: dict[int, list[Membership]] = defaultdict(list)
    for member in members:
        by_account[member.account_id].append(member)
    digests: dict[int, Digest] = {}
    for token in tokens:
        for member in by_account[token.account_id]:
            if member.pk == token.issuer_id or member.held_role is Role.ADMINISTRATORS:
                digests.setdefault(member.pk, Digest(member)).tokens.append(token)
    return list(digests.values())


def _tell(digests: list[Digest], done: Scan, *, at: datetime) -> None:
    people = [digest.person for digest in digests]
    wanted = wanted_channels(people, TOKEN_EXPIRING)
    waiting = _mails_still_waiting(people)
    told = notifications.tell(
        news=[_news(digest, at=at) for digest in digests],
        kind=TOKEN_EXPIRING,
        at=at,
        mailed_already=waiting,
    )
    mails = waiting | {Person(mail.user_id, mail.account_id): mail for mail in told.mails}
    rows = [
        ExpiryNotice(
            token=token,
            expires_at=_end(token),
            days=_days(token, at),
            user_id=digest.person.user_id,
            channel=channel,
            mail=mails[digest.person] if channel is Channel.EMAIL else None,
            created_at=at,
        )
        for digest in digests
        for token in digest.tokens
        for channel in wanted[digest.person]
    ]
    ExpiryNotice.objects.bulk_create(rows, batch_size=2_000, ignore_conflicts=True)
    done.notices += len(rows)
    done.mails += len(told.mails)


def _mails_still_waiting(people: list[Person]) -> dict[Person, Mail]:
    """Digests of these people that nobody has begun to send: what is due now joins them."""
    pending = Mail.objects.filter(
        kind=TOKEN_EXPIRING.code,
        state=State.PENDING,
        user_id__in={person.user_id for person in people},
        account_id__in={person.account_id for person in people},
    )
    if connection.features.has_select_for_update_skip_locked:
        pending = pending.select_for_update(skip_locked=True)
    return {Person(mail.user_id, mail.account_id): mail for mail in pending}


def _news(digest: Digest, *, at: datetime) -> News:
    """The inbox entry, in the reader's language."""
    count = len(digest.tokens)
    with translation.override(digest.member.user.catalogue):
        if _days(digest.tokens[0], at) == 1:
            title = ngettext(
                "%(count)d API token expires within 1 day",
                "%(count)d API tokens expire, the first within 1 day",
                count,
            )
        else:
            title = ngettext(
                "%(count)d API token expires within 7 days",
                "%(count)d API tokens expire within 7 days",
                count,
            )
    return News(
        person=digest.person,
        title=title % {"count": count},
        text="\n".join(token.name for token in digest.tokens[:MOST_IDS_IN_LINK]),
        link=link_to(digest.tokens),
        facts={},
        resend_in_doubt=any(_days(token, at) == 1 for token in digest.tokens),
    )


def link_to(tokens: list[APIToken]) -> str:
    """The path of the page filtered to these tokens, in their account; to all that expire soon if
    they are too many for an address."""
    ids = [str(token.pk) for token in tokens]
    query = {"ids": ",".join(ids)} if len(ids) <= MOST_IDS_IN_LINK else {"status": "expiring"}
    page = f"{reverse('apitokens:list')}?{urlencode(query, safe=',')}"
    return f"{reverse('accounts:open', args=[tokens[0].account_id])}?next={quote(page)}"


def _advance(account_ids: list[int], *, at: datetime) -> int:
    """Set the next due instant of every token that this scan has dealt with."""
    waiting = APIToken.objects.undeleted().filter(account_id__in=account_ids, notice_due_at__lte=at)
    number = 0
    for span in sorted((timedelta(days=days) for days in NOTICE_DAYS), reverse=True):
        later = waiting.filter(expires_at__gt=at + span)
        number += later.update(notice_due_at=F("expires_at") - span)
    return number + waiting.update(notice_due_at=None)


def _days(token: APIToken, at: datetime) -> int:
    days = due_threshold(_end(token), at=at)
    assert days is not None  # it is due, so a threshold has passed
    return days


def _end(token: APIToken) -> datetime:
    assert token.expires_at is not None  # tokens that never expire are never due
    return token.expires_at
