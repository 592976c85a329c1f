"""How the mail about expiring tokens reads: one digest per person and account."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from itertools import chain
from typing import NamedTuple
from uuid import UUID

from django.conf import settings
from django.utils import timezone
from django.utils.html import avoid_wrapping
from django.utils.safestring import SafeString
from django.utils.text import Truncator
from django.utils.timesince import TIME_STRINGS
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from accounts.models import Membership
from apitokens.expiry import link_to
from apitokens.models import APIToken, ExpiryNotice
from apitokens.thresholds import NOTICE_DAYS, due_threshold
from notifications.kinds import TOKEN_EXPIRING, Channel
from notifications.mails import (
    Fact,
    Letter,
    moment,
    one_line,
    reader_of,
    reads_ahead,
    render,
    writes,
)
from notifications.models import Mail
from notifications.preferences import Person, wanted_channels
from notifications.stencils import fill

NEVER = datetime.max.replace(tzinfo=UTC)
LONGEST_ACCOUNT = 60
MOST_LINES = 40
"""Mail programs cut long mails off; the link leads to all of them."""


class Line(NamedTuple):
    """What the digest says of one token, for both parts of the mail."""

    days: int
    text: SafeString
    html: SafeString


class Section(NamedTuple):
    """Tokens that expire within so many days, soonest first."""

    days: int
    lines: list[Line]


class Known(NamedTuple):
    """What the digest is written from."""

    reader: Membership | None
    tokens: list[APIToken]


@writes(TOKEN_EXPIRING)
def expiry_letter(mail: Mail) -> Letter | None:
    """The digest as of now: without tokens that were deleted or have ended since it was decided;
    None if no token is left, or if the reader left, or no longer wants it."""
    if not isinstance(mail.known, Known):
        know([mail])
    assert isinstance(mail.known, Known)
    at, member = timezone.now(), mail.known.reader
    tokens = [token for token in mail.known.tokens if not token.is_expired(at)]
    if member is None or mail.account is None or not tokens:
        return None
    return render(
        mail,
        "emails/token_expiring/body",
        subject=_subject(tokens, mail.account.name, at),
        heading=_heading(tokens, at),
        sections=_sections(
            [_line(token, mail.user.time_zone, at) for token in tokens[:MOST_LINES]]
        ),
        count=len(tokens),
        more=max(0, len(tokens) - MOST_LINES),
        is_administrator=member.is_administrator,
        link=settings.BASE_URL + link_to(tokens),
        action=TOKEN_EXPIRING.action_for(len(tokens)),
    )


@reads_ahead(TOKEN_EXPIRING)
def know(mails: Collection[Mail]) -> None:
    """Who reads these mails, and what is left to tell them."""
    readers = _readers(mails)
    told: dict[UUID, list[int]] = defaultdict(list)
    rows = ExpiryNotice.objects.filter(mail__in=mails).values_list("mail_id", "token_id")
    for mail_id, token_id in rows:
        told[mail_id].append(token_id)
    tokens = _tokens({token_id for ids in told.values() for token_id in ids})
    for mail in mails:
        reader = readers.get(reader_of(mail))
        noticed = {pk: tokens[pk] for pk in told[mail.pk] if pk in tokens}
        mail.known = Known(reader, _concerning(reader, noticed.values()))


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


def _tokens(ids: Collection[int]) -> dict[int, APIToken]:
    """Those that are still active. Issuers are asked for once, not once a token."""
    tokens = APIToken.objects.active(timezone.now()).filter(pk__in=ids)
    return tokens.defer("digest", "description").prefetch_related("issuer__user").in_bulk()


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
    facts = (
        moment(token.expires_at, _("Expiration"), zone=zone),
        Fact(_("ID"), str(token.pk)),
        _issuer(token),
        Fact(_("Role"), str(token.held_role.label)),
        _last_usage(token, zone),
    )
    words = [one_line(token.name), _left(token, at), *chain.from_iterable(facts)]
    return Line(
        # None before the first threshold: whoever decided looked ahead, or had a faster clock.
        days=due_threshold(token.expires_at, at=at) or max(NOTICE_DAYS),
        text=fill("emails/token_expiring/token.txt", words, _context),
        html=fill("emails/token_expiring/token.html", words, _context),
    )


def _context(words: Sequence[str]) -> dict[str, object]:
    """What both templates of a token know: `left` is the time that really remains ("19 hours")."""
    name, left, *facts = words
    return {
        "name": name,
        "left": left,
        "facts": [Fact(*facts[start : start + 3]) for start in range(0, len(facts), 3)],
    }


def _last_usage(token: APIToken, zone: str) -> Fact:
    label = _("Last usage")
    if token.last_used_at is None:
        return Fact(label, _("Not used yet"))
    return moment(token.last_used_at, label, zone=zone)._replace(aside="")


def _issuer(token: APIToken) -> Fact:
    gone = _("The user has been deleted") if token.issuer.is_removed else ""
    return Fact(_("Issued by"), one_line(token.issuer.user.get_full_name()), gone)


def _sections(lines: list[Line]) -> list[Section]:
    """The most urgent first."""
    sections = [
        Section(days, [line for line in lines if line.days == days]) for days in sorted(NOTICE_DAYS)
    ]
    return [section for section in sections if section.lines]


def _subject(tokens: list[APIToken], account: str, at: datetime) -> str:
    """How many, how soon, and where."""
    count, account = len(tokens), Truncator(one_line(account)).chars(LONGEST_ACCOUNT)
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
        return _of_time("minute", minutes)
    hours = round(remaining / timedelta(hours=1))
    if hours < 24:
        return _of_time("hour", hours)
    return _of_time("day", round(remaining / timedelta(days=1)))


def _of_time(unit: str, number: int) -> str:
    return avoid_wrapping(TIME_STRINGS[unit] % {"num": number})
