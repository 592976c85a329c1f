"""The expiry scan: finds tokens whose notice is due, and creates inbox entries and mails.

A scan writes the ledger (`ExpiryNotice`), the inbox entries and the mails of some accounts in one
transaction; `notifications.email.delivery` sends them. It is idempotent, also when it runs in
several processes at once.
"""

import logging
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property, lru_cache
from itertools import islice
from uuid import UUID

from django.db import connection, transaction
from django.db.models import Case, Count, F, Min, Q, QuerySet, When
from django.db.models.expressions import CombinedExpression
from django.utils import translation
from django.utils.translation import ngettext

from accounts.members.readers import address_of, readers_by_issuer
from accounts.models import Membership
from accounts.roles import Role
from apitokens.expiry.schedule import NOTICE_DAYS, due_threshold
from apitokens.models import APIToken, APITokenQuerySet, ExpiryNotice
from notifications import jobs
from notifications import services as notifications
from notifications.email import delivery
from notifications.email.rendering import reader_of
from notifications.health import report
from notifications.kinds import TOKEN_EXPIRING, Channel
from notifications.links import path_to
from notifications.models import Mail, State
from notifications.preferences.services import wanted_channels
from notifications.recipients import Person
from notifications.services import News

logger = logging.getLogger(__name__)

HEARTBEAT = jobs.SCANNED
TOKENS_AT_ONCE = 2_000
ACCOUNTS_LOOKED_AHEAD = 5_000
ROWS_AT_ONCE = 5_000
LOCK = 0x7065726D
"""The number of the advisory lock that lets one scan at a time write (PostgreSQL)."""
MOST_IDS_IN_LINK = 50


@dataclass
class NotificationDigest:
    """The notice to one person about one account, and its channels."""

    member: Membership
    tokens: list[APIToken] = field(default_factory=list)
    channels: set[Channel] = field(default_factory=set)

    @cached_property
    def person(self) -> Person:
        return Person(self.member.user_id, self.member.account_id)

    @property
    def impossible_channels(self) -> set[Channel]:
        """An address that is the contact of a service account has no inbox."""
        return {Channel.PORTAL} if self.member.is_service_account else set()


@dataclass(frozen=True)
class Moment:
    """The present moment, and the instant up to which notices are due, which may lie ahead."""

    at: datetime
    due_by: datetime
    days_before: dict[int, int] = field(default_factory=dict, compare=False)
    """The threshold that tokens have passed, as it was found; only of those at hand."""

    @cached_property
    def reach(self) -> datetime:
        """What is said must hold then: never less urgent than it is by now."""
        return max(self.at, self.due_by)


@dataclass
class Scan:
    """The result of a scan."""

    tokens: int = 0
    notices: int = 0
    mails: int = 0
    is_alone: bool = field(default=True, compare=False)
    """No other scan was at work."""


Report = Callable[[NotificationDigest], None]
Advance = Callable[[int], None]


def scan(
    *,
    at: datetime,
    due_by: datetime | None = None,
    report: Report = lambda _digest: None,
    advance: Advance = lambda _tokens: None,
) -> Scan:
    """Decide who has to be told what, and put it into inboxes and on its way.

    With `due_by` what falls due until then is told already. `report` hears of every digest, once
    it is kept, and `advance` of how many tokens are done with. An account that fails holds up no
    other: raises `SomeFailed` at the end.
    """
    done = Scan()
    moment = Moment(at, due_by or at)

    def scan_part(account_ids: list[int]) -> int:
        """1 if it was scanned. A long scan is not a silent one."""
        before = done.tokens
        done.is_alone = done.is_alone and _is_scanned(account_ids, moment, done, report)
        advance(done.tokens - before)
        if done.is_alone:
            logger.info("Expirations: %d tokens due, %d mails so far", done.tokens, done.mails)
            jobs.record_heartbeat(name=HEARTBEAT, at=jobs.database_now())
        return done.is_alone

    jobs.for_each_part(_batches(moment), scan_part)
    if not done.is_alone:
        logger.info("Another scan is at work.")
        return done
    jobs.record_heartbeat(name=HEARTBEAT, at=jobs.database_now())
    return done


def preview(
    *, at: datetime, due_by: datetime | None = None, advance: Advance = lambda _tokens: None
) -> Iterator[NotificationDigest]:
    """The notices that a scan would send. Changes nothing."""
    moment = Moment(at, due_by or at)
    for account_ids in _batches(moment):
        tokens = list(_due_tokens(account_ids, moment))
        yield from _digests(tokens, moment)
        advance(len(tokens))


def number_due(*, at: datetime, due_by: datetime | None = None) -> int:
    """Count the tokens that a scan deals with."""
    moment = Moment(at, due_by or at)
    return _waiting(moment.due_by).filter(expires_at__gt=moment.reach).count()


def left_out(*, at: datetime, due_by: datetime) -> int:
    """Count the tokens that a scan which looks ahead leaves out, because they end before that."""
    ending = _waiting(due_by).filter(expires_at__gt=at, expires_at__lte=max(at, due_by))
    return ending.count()


@report.oldest_due.register
def oldest_due(at: datetime) -> datetime | None:
    """Since when the longest waiting token has been due for a scan."""
    oldest: datetime | None = _waiting(at).aggregate(oldest=Min("notice_due_at"))["oldest"]
    return oldest


def _waiting(due_by: datetime) -> APITokenQuerySet:
    """Tokens whose next notice was due by then, by an index that holds nothing else."""
    return APIToken.objects.undeleted().filter(notice_due_at__lte=due_by)


def _batches(moment: Moment) -> Iterator[list[int]]:
    """The accounts with tokens to look at, so many at a time that memory stays flat."""
    batch: list[int] = []
    size = 0
    for account_id, count in _accounts(moment):
        if batch and size + count > TOKENS_AT_ONCE:
            yield batch
            batch, size = [], 0
        batch.append(account_id)
        size += count
    if batch:
        yield batch


def _accounts(moment: Moment) -> Iterator[tuple[int, int]]:
    """Accounts and their numbers of due tokens. Goes forward only: what is left behind, because it
    was locked or has just become due, is the next scan's."""
    last = 0
    while True:
        some = list(counted(moment.due_by, after=last)[:ACCOUNTS_LOOKED_AHEAD])
        yield from some
        if len(some) < ACCOUNTS_LOOKED_AHEAD:
            return
        last = some[-1][0]


def counted(due_by: datetime, *, after: int = 0) -> QuerySet[APIToken, tuple[int, int]]:
    """Each account that has tokens to look at, and how many; in the order of their ids."""
    return (
        _waiting(due_by)
        .filter(account_id__gt=after)
        .order_by("account_id")
        .values_list("account_id")
        .annotate(count=Count("pk"))
    )


def _is_scanned(account_ids: list[int], moment: Moment, done: Scan, report: Report) -> bool:
    """Deal with these accounts in one transaction. False if another scan is at work."""
    with transaction.atomic():
        if not _is_alone():
            return False
        moment.days_before.clear()
        tokens = _locked(_due_tokens(account_ids, moment))
        digests = _digests(tokens, moment)
        _tell(digests, moment, done)
        _advance(tokens, account_ids, moment)
    done.tokens += len(tokens)
    for digest in digests:
        report(digest)
    return True


def _is_alone() -> bool:
    if connection.vendor != "postgresql":
        return True  # the transaction is IMMEDIATE: nobody else writes
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_try_advisory_xact_lock(%s)", [LOCK])
        (is_ours,) = cursor.fetchone()
        return bool(is_ours)


def _due_tokens(account_ids: list[int], moment: Moment) -> APITokenQuerySet:
    """The tokens that are due for a notice, soonest first. Those that end before the
    instant that an operator looks ahead to get their notices in their own time."""
    due = _waiting(moment.due_by).filter(account_id__in=account_ids)
    soonest_first = due.filter(expires_at__gt=moment.reach).order_by("expires_at", "pk")
    return soonest_first.only("account_id", "issuer_id", "name", "expires_at")


def _locked(tokens: APITokenQuerySet) -> list[APIToken]:
    """Lock the tokens, so that none is deleted meanwhile. A token that is locked already is left to
    the next scan: waiting for it could be a deadlock."""
    if connection.features.has_select_for_update_skip_locked:
        tokens = tokens.select_for_update(skip_locked=True, no_key=True)
    return list(tokens)


def _digests(tokens: Iterable[APIToken], moment: Moment) -> list[NotificationDigest]:
    """For each person who has to be told: their tokens, soonest first.

    The issuer is told of their own tokens, those who look after a service account of its tokens,
    every Administrator of all; nobody twice.
    """
    tokens = list(tokens)
    members = _members_by_account(tokens)
    services = [each for all_of in members.values() for each in all_of if each.is_service_account]
    readers = readers_by_issuer(services) if services else {}
    told = _told_already(tokens)
    digests: dict[int, NotificationDigest] = {}
    for token in tokens:
        key = (token.pk, token.expires_at, _days(token, moment))
        for member in readers.get(token.issuer_id) or _people_concerned(token, members):
            if (*key, member.user_id) not in told:
                digest = digests.get(member.pk)
                if digest is None:
                    digest = digests[member.pk] = NotificationDigest(member)
                digest.tokens.append(token)
    wanted = wanted_channels([digest.person for digest in digests.values()], TOKEN_EXPIRING)
    for digest in digests.values():
        digest.channels = wanted[digest.person] - digest.impossible_channels
    return [digest for digest in digests.values() if digest.channels]


def _people_concerned(
    token: APIToken, members: dict[int, list[Membership]]
) -> Iterator[Membership]:
    for member in members[token.account_id]:
        is_concerned = member.pk == token.issuer_id or member.is_administrator
        if is_concerned and not member.is_service_account:
            yield member


def _members_by_account(tokens: list[APIToken]) -> dict[int, list[Membership]]:
    """The present members of the tokens' accounts who may have to be told, and the service accounts
    that issued them."""
    members = (
        Membership.everyone.present()
        .filter(
            Q(role=Role.ADMINISTRATORS) | Q(pk__in={token.issuer_id for token in tokens}),
            account_id__in={token.account_id for token in tokens},
        )
        .select_related("user", "account")
        .only(
            *("role", "user__email", "user__language", "user__is_service_account"),
            "account__name",
        )
        .order_by("pk")
    )
    by_account: dict[int, list[Membership]] = defaultdict(list)
    for member in members:
        by_account[member.account_id].append(member)
    return by_account


def _told_already(tokens: list[APIToken]) -> set[tuple[int, datetime, int, int]]:
    """The entries of these tokens in the ledger, which decides even if a token comes up again."""
    rows = ExpiryNotice.objects.filter(token_id__in=[token.pk for token in tokens])
    return set(rows.values_list("token_id", "expires_at", "days", "user_id").distinct())


def _tell(digests: list[NotificationDigest], moment: Moment, done: Scan) -> None:
    found = _mails_still_waiting([digest.person for digest in digests])
    # A mail to the former contact of a service account waits in vain.
    waiting = {
        digest.person: found[digest.person]
        for digest in digests
        if digest.person in found and found[digest.person].address == address_of(digest.member)
    }
    told = notifications.tell(
        news=[_news(digest, moment) for digest in digests],
        kind=TOKEN_EXPIRING,
        at=moment.at,
        mailed_already=waiting,
    )
    delivery.extend(
        waiting=waiting.values(),
        urgent=[
            waiting[digest.person]
            for digest in digests
            if digest.person in waiting and _is_urgent(digest, moment)
        ],
        at=moment.at,
    )
    mails = waiting | {reader_of(mail): mail for mail in told.mails}
    done.mails += len(told.mails)
    done.notices += _write_ledger(digests, mails, moment)


def _mails_still_waiting(people: list[Person]) -> dict[Person, Mail]:
    """Digests of these people that nobody has begun to send: what is due now joins them. Not those
    that may have arrived: the repeat of a mail must not tell more than the mail did."""
    pending = Mail.objects.filter(
        kind=TOKEN_EXPIRING.code,
        state=State.PENDING,
        was_in_doubt=False,
        user_id__in={person.user_id for person in people},
        account_id__in={person.account_id for person in people},
    )
    if connection.features.has_select_for_update_skip_locked:
        pending = pending.select_for_update(skip_locked=True)
    found = {reader_of(mail): mail for mail in pending}
    return {person: found[person] for person in people if person in found}


def _write_ledger(
    digests: list[NotificationDigest], mails: dict[Person, Mail], moment: Moment
) -> int:
    """Write who is told what, but for what is there already. Returns how many decisions are new."""
    rows = (
        (
            token.pk,
            token.expires_at,
            _days(token, moment),
            digest.person.user_id,
            channel.value,
            mails[digest.person].pk if channel is Channel.EMAIL else None,
            moment.at,
        )
        for digest in digests
        for channel in digest.channels
        if channel is Channel.PORTAL or digest.person in mails
        for token in digest.tokens
    )
    insert = _insert_arrays if connection.vendor == "postgresql" else _insert_rows
    number = 0
    while some := list(islice(rows, ROWS_AT_ONCE)):
        number += insert(some)
    return number


_Decision = tuple[int, datetime | None, int, int, str, UUID | None, datetime]
"""A row of the ledger, in the order of `_LEDGER`."""
_LEDGER = ("token_id", "expires_at", "days", "user_id", "channel", "mail_id", "created_at")
_INSERT = """
    INSERT INTO apitokens_expirynotice
        (token_id, expires_at, days, user_id, channel, mail_id, created_at)
    SELECT * FROM unnest(%s::bigint[], %s::timestamptz[], %s::smallint[], %s::bigint[],
        %s::varchar[], %s::uuid[], %s::timestamptz[])
    ON CONFLICT DO NOTHING
"""


def _insert_rows(rows: list[_Decision]) -> int:
    ledger = (ExpiryNotice(**dict(zip(_LEDGER, row, strict=True))) for row in rows)
    return len(ExpiryNotice.objects.bulk_create(ledger, ignore_conflicts=True))


def _insert_arrays(rows: list[_Decision]) -> int:
    """As arrays, one for each column. Models of hundreds of thousands of rows, which are asked
    value by value what the database wants, took a third of the whole scan."""
    with connection.cursor() as cursor:
        cursor.execute(_INSERT, [list(column) for column in zip(*rows, strict=True)])
        return int(cursor.rowcount)


def _news(digest: NotificationDigest, moment: Moment) -> News:
    """The inbox entry, in the reader's language."""
    is_urgent, count = _is_urgent(digest, moment), len(digest.tokens)
    return News(
        person=digest.person,
        title=_title(digest.member.user.catalogue, count, is_urgent),
        text="\n".join(token.name for token in digest.tokens[:MOST_IDS_IN_LINK]),
        link=link_to([token.pk for token in digest.tokens], digest.person.account_id),
        facts={},
        address=address_of(digest.member),
        resend_in_doubt=is_urgent,
    )


@lru_cache(maxsize=1_000)
def _title(language: str, count: int, is_urgent: bool) -> str:
    with translation.override(language):
        if is_urgent:
            title = ngettext(
                "%(count)d API token expires within 1 day",
                "%(count)d API tokens are about to expire, the first within 1 day",
                count,
            )
        else:
            title = ngettext(
                "%(count)d API token expires within 7 days",
                "%(count)d API tokens expire within 7 days",
                count,
            )
    return title % {"count": count}


def link_to(token_ids: Collection[int], account_id: int) -> str:
    """The path of the token's page, where it can be rotated; of several tokens that of the list
    filtered to them, in their account; to all that expire soon if they are too many for an address.
    """
    if len(token_ids) == 1:
        return path_to("apitokens:token", account_id=account_id, pk=next(iter(token_ids)))
    is_short = len(token_ids) <= MOST_IDS_IN_LINK
    query = f"ids={','.join(map(str, token_ids))}" if is_short else "status=expiring"
    return f"{path_to('apitokens:list', account_id=account_id)}?{query}"


def _advance(tokens: list[APIToken], account_ids: list[int], moment: Moment) -> None:
    """Set the next due instant of every token dealt with, and of those that have ended."""
    dealt_with = APIToken.objects.filter(pk__in=[token.pk for token in tokens])
    next_due = [
        When(expires_at__gt=moment.reach + timedelta(days=days), then=_before_the_end(days))
        for days in sorted(NOTICE_DAYS, reverse=True)
    ]
    dealt_with.update(notice_due_at=Case(*next_due, default=None))
    ended = _waiting(moment.due_by).filter(account_id__in=account_ids, expires_at__lte=moment.at)
    locked = [token.pk for token in _locked(ended)]
    APIToken.objects.filter(pk__in=locked).update(notice_due_at=None)


def _before_the_end(days: int) -> CombinedExpression:
    return F("expires_at") - timedelta(days=days)


def _is_urgent(digest: NotificationDigest, moment: Moment) -> bool:
    """True if the last notice before the end is among these."""
    return _days(digest.tokens[0], moment) == min(NOTICE_DAYS)


def _days(token: APIToken, moment: Moment) -> int:
    days = moment.days_before.get(token.pk)
    if days is None:
        days = due_threshold(_end(token), at=moment.reach)
        assert days is not None  # it is due, so a threshold has passed
        moment.days_before[token.pk] = days
    return days


def _end(token: APIToken) -> datetime:
    assert token.expires_at is not None  # tokens that never expire are never due
    return token.expires_at
