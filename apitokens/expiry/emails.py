"""Renders the mail about expiring tokens: one digest per person and account."""

from collections.abc import Iterable
from datetime import datetime
from typing import NamedTuple

from django.conf import settings
from django.db.models import Q
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from accounts.members.readers import address_of, service_accounts_read_by
from accounts.models import Membership
from apitokens.expiry.scan import link_to
from apitokens.expiry.schedule import NOTICE_DAYS, due_threshold
from apitokens.expiry.time_left import time_left
from apitokens.models import APIToken, ExpiryNotice
from notifications.email.rendering import (
    Fact,
    RenderedEmail,
    in_zone,
    moment,
    one_name,
    one_person,
    quoted_name,
    reader_of,
    register_renderer,
    render_templates,
)
from notifications.kinds import TOKEN_EXPIRING, Channel
from notifications.links import path_to
from notifications.models import Mail
from notifications.preferences.services import wanted_channels

LONGEST_ACCOUNT = 60
SHOWN = (
    *("name", "role", "expires_at", "last_used_at"),
    *("issuer__removed_at", "issuer__user__name", "issuer__user__email"),
)
"""The fields of a token that the digest needs; `pk` is always there."""
MOST_LISTED, MOST_WITH_LONG_NAMES = 38, 25
"""Mail programs cut long mails off; the link leads to all of them."""
LONGEST_HTML = 87_000
"""Bytes. Gmail cuts off what is longer than 102,400, and HTML writes an apostrophe with six."""


class DigestToken(NamedTuple):
    """A token as the digest shows it: `left` is the time that remains ("19 hours"). `rotate_url` is
    "" for readers who cannot sign in."""

    name: str
    left: str
    facts: list[Fact]
    rotate_url: str


class Section(NamedTuple):
    """The tokens that expire within so many days."""

    days: int
    tokens: list[DigestToken]


@register_renderer(TOKEN_EXPIRING)
def render_digest(mail: Mail, at: datetime) -> RenderedEmail | None:
    """The digest as of now: without tokens that were deleted or have ended since it was decided;
    None if no token is left, or if the reader left, or no longer wants it."""
    reader = _reader(mail)
    tokens = _tokens(mail, reader, at) if reader else []
    if reader is None or not tokens:
        return None
    rendered = _rendered(mail, reader, tokens, at, most=MOST_LISTED)
    if len(rendered.html.encode()) > LONGEST_HTML:
        rendered = _rendered(mail, reader, tokens, at, most=MOST_WITH_LONG_NAMES)
    return rendered


def _rendered(
    mail: Mail, reader: Membership, tokens: list[APIToken], at: datetime, *, most: int
) -> RenderedEmail:
    assert mail.account is not None  # it has a reader
    return render_templates(
        mail,
        "emails/token_expiring/body",
        subject=_subject(tokens, mail.account.name, at),
        heading=_heading(tokens, at),
        link=settings.BASE_URL + link_to([token.pk for token in tokens], mail.account.pk),
        action=TOKEN_EXPIRING.action_for(len(tokens)),
        sections=_sections(tokens[:most], reader, at),
        count=len(tokens),
        more=max(0, len(tokens) - most),
        is_administrator=reader.is_administrator and not reader.is_service_account,
    )


def _reader(mail: Mail) -> Membership | None:
    """The reader's membership; None if they have left, or no longer want such mails, or are not the
    contact of the service account any more."""
    person = reader_of(mail)
    if Channel.EMAIL not in wanted_channels([person], TOKEN_EXPIRING)[person]:
        return None
    present = Membership.everyone.present().select_related("user", "service_account")
    reader = present.filter(user_id=person.user_id, account_id=person.account_id).first()
    return reader if reader is not None and address_of(reader) == mail.address else None


def _tokens(mail: Mail, reader: Membership, at: datetime) -> list[APIToken]:
    """Those that are still active, the soonest first. A reader who is no Administrator any more is
    told of their own tokens only, and of those of service accounts that they look after."""
    noticed = ExpiryNotice.objects.filter(mail=mail).values("token")
    tokens = APIToken.objects.active(at).filter(pk__in=noticed, expires_at__isnull=False)
    if not reader.is_administrator:
        own = Q(pk=reader.pk) | service_accounts_read_by(reader)
        tokens = tokens.filter(issuer__in=Membership.everyone.filter(own))
    return list(tokens.select_related("issuer__user").only(*SHOWN).order_by("expires_at", "pk"))


def _sections(tokens: Iterable[APIToken], reader: Membership, at: datetime) -> list[Section]:
    """The most urgent first; none is empty."""
    by_days: dict[int, list[DigestToken]] = {days: [] for days in sorted(NOTICE_DAYS)}
    for token in tokens:
        # None before the first threshold: the scan looked ahead, or had a faster clock.
        days = due_threshold(_end(token), at=at) or max(NOTICE_DAYS)
        by_days[days].append(_digest_token(token, reader, at))
    return [Section(days, shown) for days, shown in by_days.items() if shown]


def _digest_token(token: APIToken, reader: Membership, at: datetime) -> DigestToken:
    zone, last_used_at = reader.user.time_zone, token.last_used_at
    return DigestToken(
        name=one_name(token.name),
        left=time_left(_end(token), at=at),
        facts=[
            moment(_end(token), _("Expiration"), zone=zone),
            Fact(_("ID"), str(token.pk)),
            Fact(
                _("Issued by"),
                one_person(token.issuer.user),
                _("The user has been deleted") if token.issuer.is_removed else "",
            ),
            Fact(_("Role"), str(token.held_role.label)),
            Fact(
                _("Last usage"), in_zone(last_used_at, zone) if last_used_at else _("Not used yet")
            ),
        ],
        rotate_url="" if reader.is_service_account else _rotate_url(token, reader.account_id),
    )


def _rotate_url(token: APIToken, account_id: int) -> str:
    path = path_to("apitokens:rotate", account_id=account_id, pk=token.pk)
    return f"{settings.BASE_URL}{path}"


def _subject(tokens: list[APIToken], account: str, at: datetime) -> str:
    """How many, how soon, and where."""
    words = ngettext(
        "%(count)d API token of %(account)s expires in %(left)s",
        "%(count)d API tokens of %(account)s are about to expire, the first in %(left)s",
        len(tokens),
    )
    return words % {
        **_soonest(tokens, at),
        "account": quoted_name(account, LONGEST_ACCOUNT),
    }


def _heading(tokens: list[APIToken], at: datetime) -> str:
    words = ngettext(
        "%(count)d API token expires in %(left)s",
        "%(count)d API tokens are about to expire, the first in %(left)s",
        len(tokens),
    )
    return words % _soonest(tokens, at)


def _soonest(tokens: list[APIToken], at: datetime) -> dict[str, object]:
    return {"count": len(tokens), "left": time_left(_end(tokens[0]), at=at)}


def _end(token: APIToken) -> datetime:
    assert token.expires_at is not None  # tokens that never expire are in no digest
    return token.expires_at
