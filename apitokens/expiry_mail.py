"""How the mail about expiring tokens reads: one digest per person and account."""

from datetime import datetime
from typing import NamedTuple

from django.conf import settings
from django.utils import timezone
from django.utils.text import Truncator
from django.utils.timesince import timeuntil
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from accounts.models import Membership
from apitokens.expiry import link_to
from apitokens.models import APIToken, ExpiryNotice
from apitokens.thresholds import NOTICE_DAYS, due_threshold
from notifications.kinds import TOKEN_EXPIRING, Channel
from notifications.mails import Fact, Letter, moment, one_line, render, writes
from notifications.models import Mail
from notifications.preferences import Person, wanted_channels

LONGEST_ACCOUNT = 60
MOST_LINES = 40
"""Mail programs cut long mails off; the link leads to all of them."""


class Line(NamedTuple):
    """One token of the digest; `left` is the time that really remains ("19 hours")."""

    days: int
    name: str
    left: str
    facts: list[Fact]


class Section(NamedTuple):
    """Tokens that expire within so many days, soonest first."""

    days: int
    lines: list[Line]


@writes(TOKEN_EXPIRING)
def expiry_letter(mail: Mail) -> Letter | None:
    """The digest as of now: without tokens that were deleted or have ended since it was decided;
    None if no token is left, or if the reader left, or no longer wants it."""
    at = timezone.now()
    member = _reader(mail)
    tokens = _still_to_tell(mail, member, at) if member else []
    if member is None or not tokens:
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


def _reader(mail: Mail) -> Membership | None:
    """Who reads it, if they still belong to the account and still want it."""
    person = Person(mail.user_id, mail.account_id)
    if Channel.EMAIL not in wanted_channels([person], TOKEN_EXPIRING)[person]:
        return None
    return Membership.objects.of(mail.user).filter(account_id=mail.account_id).first()


def _still_to_tell(mail: Mail, reader: Membership, at: datetime) -> list[APIToken]:
    noticed = ExpiryNotice.objects.filter(mail=mail).values("token_id")
    tokens = APIToken.objects.active(at).filter(pk__in=noticed).order_by("expires_at", "pk")
    if not reader.is_administrator:
        tokens = tokens.filter(issuer=reader)
    return list(tokens.for_display())


def _lines(tokens: list[APIToken], zone: str, at: datetime) -> list[Line]:
    return [_line(token, zone, at) for token in tokens[:MOST_LINES]]


def _line(token: APIToken, zone: str, at: datetime) -> Line:
    assert token.expires_at is not None  # tokens that never expire are in no digest
    return Line(
        # None before the first threshold: whoever decided looked ahead, or had a faster clock.
        days=due_threshold(token.expires_at, at=at) or max(NOTICE_DAYS),
        name=one_line(token.name),
        left=_left(token, at),
        facts=[
            moment(token.expires_at, _("Expiration"), zone=zone),
            Fact(_("ID"), str(token.pk)),
            _issuer(token),
            Fact(_("Role"), str(token.held_role.label)),
            _last_usage(token, zone),
        ],
    )


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
    return timeuntil(token.expires_at, at, depth=1) if token.expires_at else ""
