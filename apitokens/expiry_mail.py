"""How the mail about expiring tokens reads: one digest per person and account."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import NamedTuple
from uuid import UUID

from django.conf import settings
from django.utils.html import avoid_wrapping
from django.utils.safestring import SafeString
from django.utils.timesince import TIME_STRINGS
from django.utils.translation import get_language, ngettext
from django.utils.translation import gettext as _

from accounts.models import Membership
from apitokens.expiry import link_to
from apitokens.models import APIToken, ExpiryNotice
from apitokens.thresholds import NOTICE_DAYS, due_threshold
from notifications.kinds import TOKEN_EXPIRING, Channel
from notifications.mails import (
    Fact,
    Letter,
    in_utc,
    in_zone,
    one_line,
    reader_of,
    render_alike,
    writes_from,
)
from notifications.models import Mail
from notifications.preferences import Person, wanted_channels
from notifications.stencils import fill

NEVER = datetime.max.replace(tzinfo=UTC)
LONGEST_ACCOUNT = 60
DAYS = sorted(NOTICE_DAYS)
TOLD = ("account", "issuer", "name", "role", "expires_at", "last_used_at", "deleted_at")
"""What a mail tells of a token, or goes by."""
MOST_LINES = 40
"""Mail programs cut long mails off; the link leads to all of them."""


class Line(NamedTuple):
    """What the digest says of one token, for both parts of the mail."""

    days: int
    text: SafeString
    html: SafeString


class Section(NamedTuple):
    """What the digest says of the tokens that expire within so many days."""

    days: int
    text: str
    html: str


class Known(NamedTuple):
    """What the digest is written from."""

    reader: Membership | None
    tokens: list[APIToken]


def know(mails: Collection[Mail], at: datetime) -> dict[UUID, Known]:
    """Who reads these mails, and what is left to tell them."""
    readers = _readers(mails)
    told: dict[UUID, list[int]] = defaultdict(list)
    rows = ExpiryNotice.objects.filter(mail__in=mails).values_list("mail_id", "token_id")
    for mail_id, token_id in rows:
        told[mail_id].append(token_id)
    tokens = _tokens({token_id for ids in told.values() for token_id in ids}, at)
    known = {}
    for mail in mails:
        reader = readers.get(reader_of(mail))
        noticed = {pk: tokens[pk] for pk in told[mail.pk] if pk in tokens}
        known[mail.pk] = Known(reader, _concerning(reader, noticed.values()))
    return known


@writes_from(know, TOKEN_EXPIRING)
def expiry_letter(mail: Mail, at: datetime, known: Known) -> Letter | None:
    """The digest as of now: without tokens that were deleted or have ended since it was decided;
    None if no token is left, or if the reader left, or no longer wants it."""
    tokens = [token for token in known.tokens if not token.is_expired(at)]
    if known.reader is None or mail.account is None or not tokens:
        return None
    lines = [_line(token, mail.user.time_zone, at) for token in tokens[:MOST_LINES]]
    return render_alike(
        mail,
        "emails/token_expiring/body",
        subject=_subject(tokens, mail.account.name, at),
        heading=_heading(tokens, at),
        words=[settings.BASE_URL + link_to(tokens), *_by_section(lines)],
        context=_digest,
        facts=(len(tokens), known.reader.is_administrator),
    )


def _digest(words: Sequence[str], count: int, is_administrator: bool) -> dict[str, object]:
    """What both templates of the digest know."""
    link, *said = words
    sections = map(Section, DAYS, said[::2], said[1::2])
    return {
        "link": link,
        "action": TOKEN_EXPIRING.action_for(count),
        "sections": [section for section in sections if section.text],
        "count": count,
        "more": max(0, count - MOST_LINES),
        "is_administrator": is_administrator,
    }


def _by_section(lines: Collection[Line]) -> Iterator[SafeString]:
    """The text and the HTML of each section, the most urgent first."""
    for days in DAYS:
        section = [line for line in lines if line.days == days]
        yield SafeString("".join(line.text for line in section))
        yield SafeString("".join(line.html for line in section))


def _readers(mails: Collection[Mail]) -> dict[Person, Membership]:
    """Those who still belong to the account and still want it."""
    people = {reader_of(mail) for mail in mails}
    wanted = wanted_channels(people, TOKEN_EXPIRING)
    members = Membership.objects.present().filter(
        user_id__in={person.user_id for person in people},
        account_id__in={person.account_id for person in people},
    )
    found = {Person(member.user_id, member.account_id): member for member in members}
    return {
        person: member
        for person, member in found.items()
        if Channel.EMAIL in wanted.get(person, ())
    }


def _tokens(ids: Collection[int], at: datetime) -> dict[int, APIToken]:
    """Those that are still active. Issuers are asked for once, not once a token."""
    tokens = APIToken.objects.active(at).filter(pk__in=ids)
    return tokens.only(*TOLD).prefetch_related("issuer__user").in_bulk()


def _concerning(reader: Membership | None, tokens: Iterable[APIToken]) -> list[APIToken]:
    """The soonest first; for who is no Administrator any more, their own."""
    if reader is None:
        return []
    concerning = [
        token for token in tokens if reader.is_administrator or token.issuer_id == reader.pk
    ]
    return sorted(concerning, key=lambda token: (token.expires_at or NEVER, token.pk))


def _line(token: APIToken, zone: str, at: datetime) -> Line:
    assert token.expires_at is not None  # tokens that never expire are in no digest
    words = (
        one_line(token.name),
        _left(token, at),
        in_zone(token.expires_at, zone),
        in_utc(token.expires_at),
        str(token.pk),
        *_issuer(token),
        str(token.held_role.label),
        _last_usage(token, zone),
    )
    return Line(
        # None before the first threshold: whoever decided looked ahead, or had a faster clock.
        days=due_threshold(token.expires_at, at=at) or max(NOTICE_DAYS),
        text=fill("emails/token_expiring/token.txt", words, _context),
        html=fill("emails/token_expiring/token.html", words, _context),
    )


def _context(words: Sequence[str]) -> dict[str, object]:
    """What both templates of a token know: `left` is the time that really remains ("19 hours")."""
    name, left, expiration, utc, pk, issuer, gone, role, last_usage = words
    return {
        "name": name,
        "left": left,
        "facts": [
            Fact(_("Expiration"), expiration, utc),
            Fact(_("ID"), pk),
            Fact(_("Issued by"), issuer, gone),
            Fact(_("Role"), role),
            Fact(_("Last usage"), last_usage),
        ],
    }


def _last_usage(token: APIToken, zone: str) -> str:
    if token.last_used_at is None:
        return _("Not used yet")
    return in_zone(token.last_used_at, zone)


def _issuer(token: APIToken) -> tuple[str, str]:
    gone = _("The user has been deleted") if token.issuer.is_removed else ""
    return one_line(token.issuer.user.get_full_name()), gone


def _subject(tokens: list[APIToken], account: str, at: datetime) -> str:
    """How many, how soon, and where."""
    count, account = len(tokens), one_line(account, LONGEST_ACCOUNT)
    words = ngettext(
        "%(count)d API token of %(account)s expires in %(left)s",
        "%(count)d API tokens of %(account)s expire, the first in %(left)s",
        count,
    )
    return words % {"count": count, "account": account, "left": _left(tokens[0], at)}


def _heading(tokens: list[APIToken], at: datetime) -> str:
    count = len(tokens)
    words = ngettext(
        "%(count)d API token expires in %(left)s",
        "%(count)d API tokens expire, the first in %(left)s",
        count,
    )
    return words % {"count": count, "left": _left(tokens[0], at)}


def _left(token: APIToken, at: datetime) -> str:
    return time_left(token.expires_at - at) if token.expires_at else ""


def time_left(remaining: timedelta) -> str:
    """The time that remains, to the nearest day, hour or minute: a notice that is seconds late says
    7 days, where cutting off would make it 6. The words are Django's, in every language."""
    minutes = max(1, round(remaining / timedelta(minutes=1)))
    if minutes < 60:
        return _of_time("minute", minutes, get_language())
    hours = round(remaining / timedelta(hours=1))
    if hours < 24:
        return _of_time("hour", hours, get_language())
    return _of_time("day", round(remaining / timedelta(days=1)), get_language())


@lru_cache(maxsize=1024)
def _of_time(unit: str, number: int, _language: str | None) -> str:
    return avoid_wrapping(TIME_STRINGS[unit] % {"num": number})
