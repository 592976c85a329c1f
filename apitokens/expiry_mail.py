"""How the mail about expiring tokens reads: one digest per person and account."""

from datetime import datetime
from typing import NamedTuple

from django.conf import settings
from django.template.loader import render_to_string
from django.utils import timezone
from django.utils.timesince import timeuntil
from django.utils.translation import ngettext

from accounts.models import Membership
from apitokens.expiry import link_to
from apitokens.models import APIToken, ExpiryNotice
from apitokens.thresholds import NOTICE_DAYS, due_threshold
from notifications.kinds import TOKEN_EXPIRING, Channel
from notifications.mails import Letter, common_context, one_line, writes
from notifications.models import Mail
from notifications.preferences import Person, wanted_channels


class Line(NamedTuple):
    """One token of the digest; `left` is the time that really remains ("19 hours")."""

    token: APIToken
    left: str


class Section(NamedTuple):
    """Tokens that expire within so many days, soonest first."""

    days: int
    lines: list[Line]


@writes(TOKEN_EXPIRING)
def expiry_letter(mail: Mail) -> Letter | None:
    """The digest as of now: without tokens that were deleted or have ended since it was decided;
    None if no token is left, or if the reader left, or no longer wants it."""
    at = timezone.now()
    tokens = _still_to_tell(mail, at)
    if not tokens:
        return None
    context = {
        **common_context(mail),
        "sections": _sections(tokens, at),
        "count": len(tokens),
        "link": settings.BASE_URL + link_to(tokens),
        "time_zone": mail.user.time_zone,
    }
    with timezone.override(mail.user.time_zone):
        return Letter(
            subject=_subject(tokens, mail.account.name, at),
            text=render_to_string("emails/token_expiring/body.txt", context),
            html=render_to_string("emails/token_expiring/body.html", context),
        )


def _still_to_tell(mail: Mail, at: datetime) -> list[APIToken]:
    person = Person(mail.user_id, mail.account_id)
    member = Membership.objects.of(mail.user).filter(account_id=mail.account_id).first()
    if member is None or Channel.EMAIL not in wanted_channels([person], TOKEN_EXPIRING)[person]:
        return []
    noticed = ExpiryNotice.objects.filter(mail=mail).values("token_id")
    tokens = APIToken.objects.active(at).filter(pk__in=noticed).order_by("expires_at", "pk")
    if not member.is_administrator:
        tokens = tokens.filter(issuer=member)
    return list(tokens.for_display())


def _sections(tokens: list[APIToken], at: datetime) -> list[Section]:
    """The most urgent first."""
    sections = [
        Section(
            days,
            [
                Line(token, _left(token, at))
                for token in tokens
                if token.expires_at and due_threshold(token.expires_at, at=at) == days
            ],
        )
        for days in sorted(NOTICE_DAYS)
    ]
    return [section for section in sections if section.lines]


def _subject(tokens: list[APIToken], account: str, at: datetime) -> str:
    """How many, how soon, and where."""
    count = len(tokens)
    words = ngettext(
        "%(count)d API token of %(account)s expires in %(left)s",
        "%(count)d API tokens of %(account)s expire, the first in %(left)s",
        count,
    )
    return one_line(words % {"count": count, "account": account, "left": _left(tokens[0], at)})


def _left(token: APIToken, at: datetime) -> str:
    return timeuntil(token.expires_at, at, depth=1) if token.expires_at else ""
