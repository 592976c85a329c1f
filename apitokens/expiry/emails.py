"""How the mail about expiring tokens reads: one digest per person and account."""

from collections import defaultdict
from collections.abc import Collection, Hashable, Iterable, Iterator, Sequence
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import NamedTuple, Self
from uuid import UUID

from django.conf import settings
from django.utils.html import avoid_wrapping
from django.utils.safestring import SafeString
from django.utils.timesince import TIME_STRINGS
from django.utils.translation import get_language, ngettext
from django.utils.translation import gettext as _

from accounts.models import Membership, full_name
from accounts.roles import Role
from apitokens.expiry.scan import link_to
from apitokens.expiry.schedule import DAY, NOTICE_DAYS, threshold_within
from apitokens.models import APIToken, ExpiryNotice
from notifications.email.rendering import (
    Fact,
    RenderedEmail,
    in_utc,
    in_zone,
    one_line,
    reader_of,
    register_bulk_renderer,
    render_alike,
)
from notifications.email.stencils import Parts, fill_both
from notifications.kinds import TOKEN_EXPIRING, Channel
from notifications.models import Mail
from notifications.preferences.services import wanted_channels
from notifications.recipients import Person

LONGEST_ACCOUNT = 60
DAYS = sorted(NOTICE_DAYS)
MINUTE, HOUR = timedelta(minutes=1), timedelta(hours=1)
MOST_LINES = 40
"""Mail programs cut long mails off; the link leads to all of them."""


class DigestToken(NamedTuple):
    """What a mail tells of a token, or goes by. Fields are named as the ORM finds them."""

    pk: int
    issuer_id: int
    name: str
    role: int
    expires_at: datetime
    last_used_at: datetime | None
    issuer__removed_at: datetime | None
    issuer__user__name: str
    issuer__user__email: str


class Left(NamedTuple):
    """The time that remains, to the nearest day, hour or minute: a notice that is seconds late says
    7 days, where cutting off would make it 6. The words are Django's, in every language."""

    unit: str
    number: int

    @classmethod
    def of(cls, remaining: timedelta) -> Self:
        if remaining >= DAY:
            return cls("day", round(remaining / DAY))
        if (minutes := max(1, round(remaining / MINUTE))) < 60:
            return cls("minute", minutes)
        if (hours := round(remaining / HOUR)) < 24:
            return cls("hour", hours)
        return cls("day", round(remaining / DAY))


class Section(NamedTuple):
    """What the digest says of the tokens that expire within so many days."""

    days: int
    text: str
    html: str


Lines = dict[Hashable, Parts]
"""What was said of a token already: everybody who reads the same language by the same clock reads
the same of it."""


class Known(NamedTuple):
    """What the digest is written from."""

    reader: Membership | None
    tokens: list[DigestToken]
    lines: Lines
    """Of all mails that are written together."""


def prefetch(mails: Collection[Mail], at: datetime) -> dict[UUID, Known]:
    """Who reads these mails, and what is left to tell them."""
    readers = _readers(mails)
    told: dict[UUID, list[int]] = defaultdict(list)
    rows = ExpiryNotice.objects.filter(mail__in=mails).values_list("mail_id", "token_id")
    for mail_id, token_id in rows:
        told[mail_id].append(token_id)
    tokens = _tokens({token_id for ids in told.values() for token_id in ids}, at)
    known, lines = {}, Lines()
    for mail in mails:
        reader = readers.get(reader_of(mail))
        noticed = {pk: tokens[pk] for pk in told[mail.pk] if pk in tokens}
        known[mail.pk] = Known(reader, _concerning(reader, noticed.values()), lines)
    return known


@register_bulk_renderer(prefetch, TOKEN_EXPIRING)
def expiry_letter(mail: Mail, at: datetime, known: Known) -> RenderedEmail | None:
    """The digest as of now: without tokens that were deleted or have ended since it was decided;
    None if no token is left, or if the reader left, or no longer wants it."""
    tokens = [token for token in known.tokens if token.expires_at > at]
    if known.reader is None or mail.account is None or not tokens:
        return None
    link = link_to([token.pk for token in tokens], mail.account.pk)
    return render_alike(
        mail,
        "emails/token_expiring/body",
        subject=_subject(tokens, mail.account.name, at),
        heading=_heading(tokens, at),
        words=[
            settings.BASE_URL + link,
            *_by_section(tokens[:MOST_LINES], mail.user.time_zone, at, known.lines),
        ],
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


def _by_section(
    tokens: Iterable[DigestToken], zone: str, at: datetime, lines: Lines
) -> Iterator[SafeString]:
    """The text and the HTML of each section, the most urgent first."""
    language, at = get_language(), at.astimezone(UTC)
    sections: dict[int, list[Parts]] = defaultdict(list)
    for token in tokens:
        remaining = token.expires_at.astimezone(UTC) - at
        left = Left.of(remaining)
        # None before the first threshold: the scan looked ahead, or had a faster clock.
        days = threshold_within(remaining) or DAYS[-1]
        key = token.pk, left, zone, language
        if key not in lines:
            lines[key] = _line(token, left, zone, language)
        sections[days].append(lines[key])
    for days in DAYS:
        yield SafeString("".join(line.text for line in sections[days]))
        yield SafeString("".join(line.html for line in sections[days]))


def _readers(mails: Collection[Mail]) -> dict[Person, Membership]:
    """Those who still belong to the account and still want it."""
    people = {reader_of(mail) for mail in mails}
    wanted = wanted_channels(people, TOKEN_EXPIRING)
    members = Membership.objects.present().filter(
        user_id__in={person.user_id for person in people},
        account_id__in={person.account_id for person in people},
    )
    found = {
        Person(member.user_id, member.account_id): member
        for member in members.only("user", "account", "role")
    }
    return {
        person: member
        for person, member in found.items()
        if Channel.EMAIL in wanted.get(person, ())
    }


def _tokens(ids: Collection[int], at: datetime) -> dict[int, DigestToken]:
    """Those that are still active."""
    tokens = APIToken.objects.active(at).filter(pk__in=ids, expires_at__isnull=False).order_by()
    return {row[0]: DigestToken._make(row) for row in tokens.values_list(*DigestToken._fields)}


def _concerning(reader: Membership | None, tokens: Iterable[DigestToken]) -> list[DigestToken]:
    """The soonest first; for who is no Administrator any more, their own."""
    if reader is None:
        return []
    if not reader.is_administrator:
        tokens = [token for token in tokens if token.issuer_id == reader.pk]
    return sorted(tokens, key=lambda token: (token.expires_at, token.pk))


def _line(token: DigestToken, left: Left, zone: str, language: str | None) -> Parts:
    """What the digest says of one token, in the active language."""
    words = (
        one_line(token.name),
        _of_time(*left, language),
        in_zone(token.expires_at, zone, language),
        in_utc(token.expires_at),
        str(token.pk),
        one_line(full_name(token.issuer__user__name, token.issuer__user__email)),
        in_zone(token.last_used_at, zone, language) if token.last_used_at else "",
    )
    facts = token.role, token.issuer__removed_at is not None
    return fill_both("emails/token_expiring/token", words, _context, language, facts)


def _context(words: Sequence[str], role: int, is_gone: bool) -> dict[str, object]:
    """What both templates of a token know: `left` is the time that really remains ("19 hours")."""
    name, left, expiration, utc, pk, issuer, last_usage = words
    gone = _("The user has been deleted") if is_gone else ""
    return {
        "name": name,
        "left": left,
        "facts": [
            Fact(_("Expiration"), expiration, utc),
            Fact(_("ID"), pk),
            Fact(_("Issued by"), issuer, gone),
            Fact(_("Role"), str(Role(role).label)),
            Fact(_("Last usage"), last_usage or _("Not used yet")),
        ],
    }


def _subject(tokens: list[DigestToken], account: str, at: datetime) -> str:
    """How many, how soon, and where."""
    count, account = len(tokens), one_line(account, LONGEST_ACCOUNT)
    words = ngettext(
        "%(count)d API token of %(account)s expires in %(left)s",
        "%(count)d API tokens of %(account)s expire, the first in %(left)s",
        count,
    )
    return words % {
        "count": count,
        "account": account,
        "left": time_left(tokens[0].expires_at - at),
    }


def _heading(tokens: list[DigestToken], at: datetime) -> str:
    count = len(tokens)
    words = ngettext(
        "%(count)d API token expires in %(left)s",
        "%(count)d API tokens expire, the first in %(left)s",
        count,
    )
    return words % {"count": count, "left": time_left(tokens[0].expires_at - at)}


def time_left(remaining: timedelta) -> str:
    """The time that remains, in words."""
    return _of_time(*Left.of(remaining), get_language())


@lru_cache(maxsize=1024)
def _of_time(unit: str, number: int, _language: str | None) -> str:
    return avoid_wrapping(TIME_STRINGS[unit] % {"num": number})
