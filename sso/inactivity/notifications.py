"""Notices about members who have not signed in through their account's provider for long."""

from collections.abc import Sequence
from datetime import datetime
from typing import NamedTuple

from django.utils import translation
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from accounts.members.mail_policy import is_wanted
from accounts.models import Membership
from accounts.roles import Role
from notifications import services as notifications
from notifications.email.rendering import RenderedEmail, register_renderer, render_plain
from notifications.kinds import STAYED_AWAY
from notifications.links import path_to, within
from notifications.models import Mail
from notifications.recipients import Person
from notifications.services import News
from sso.models import Connection, IdleAction

NAMED = 10
"""People named in one notice; the page shows all."""


class Absent(NamedTuple):
    """A member who stays away, and how many active API tokens they have meanwhile."""

    member: Membership
    tokens: int


def tell_administrators(connection: Connection, absent: Sequence[Absent], at: datetime) -> None:
    """Tell all Administrators of the account, in one notice, what the policy has found or done."""
    administrators = Membership.objects.present().filter(
        account=connection.account_id, role=Role.ADMINISTRATORS
    )
    news = [
        _for_administrator(reader, connection, absent)
        for reader in administrators.select_related("user").order_by("pk")
    ]
    notifications.tell(news=news, kind=STAYED_AWAY, at=at)


def _for_administrator(
    reader: Membership, connection: Connection, absent: Sequence[Absent]
) -> News:
    is_suspended = connection.idle_action == IdleAction.SUSPEND
    words = {
        "name": absent[0].member.user.get_full_name(),
        "count": len(absent),
        "days": connection.idle_days,
        "provider": connection.name,
    }
    with translation.override(reader.user.catalogue):
        if is_suspended:
            title = _suspended_title(len(absent))
            rest = _("Their tokens work again as soon as they sign in there.")
        else:
            title = _away_title(len(absent))
            rest = _("Their tokens keep working. If somebody has left, delete their tokens.")
        why = ngettext(
            "Not signed in through %(provider)s for %(days)d day:",
            "Not signed in through %(provider)s for %(days)d days:",
            connection.idle_days,
        )
        text = f"{why % words} {_listed(absent)}.\n{rest}"
        query = "?status=suspended" if is_suspended else "?signs_in_by=sso"
    return _news(reader, title % words, text, link=path_to("apitokens:list") + query)


def _suspended_title(count: int) -> str:
    """One person is named. (No plural of gettext's: in some languages 21 has the form of 1.)"""
    if count == 1:
        return _("The API tokens of %(name)s are suspended")
    return ngettext(
        "The API tokens of %(count)d person are suspended",
        "The API tokens of %(count)d people are suspended",
        count,
    )


def _away_title(count: int) -> str:
    if count == 1:
        return _("%(name)s stays away, with active API tokens")
    return ngettext(
        "%(count)d person stays away, with active API tokens",
        "%(count)d people stay away, with active API tokens",
        count,
    )


def tell_suspended(connection: Connection, absent: Sequence[Absent], at: datetime) -> None:
    """Tell each of them that their own API tokens are suspended, and what lifts it."""
    news = [_for_suspended(each.member, connection) for each in absent]
    notifications.tell(news=news, kind=STAYED_AWAY, at=at)


def _for_suspended(member: Membership, connection: Connection) -> News:
    words = {"days": connection.idle_days, "provider": connection.name}
    with translation.override(member.user.catalogue):
        why = ngettext(
            "You have not signed in through %(provider)s for %(days)d day.",
            "You have not signed in through %(provider)s for %(days)d days.",
            connection.idle_days,
        )
        what_to_do = _("Sign in there once, and they work again at once.")
        title = _("Your API tokens are suspended")
        text = f"{why % words}\n{what_to_do}"
    return _news(member, title, text, link=path_to("apitokens:list"))


def _listed(absent: Sequence[Absent]) -> str:
    named = ", ".join(
        f"{each.member.user.get_full_name()} ({each.tokens})" for each in absent[:NAMED]
    )
    more = len(absent) - NAMED
    if more <= 0:
        return named
    words = ngettext("and %(count)d more", "and %(count)d more", more) % {"count": more}
    return f"{named} {words}"


def _news(reader: Membership, title: str, text: str, *, link: str) -> News:
    return News(
        person=Person(reader.user_id, reader.account_id),
        title=title,
        text=text,
        link=within(reader.account_id, link),
        facts={},
    )


@register_renderer(STAYED_AWAY)
def render_inactivity_notice(mail: Mail, _at: datetime) -> RenderedEmail | None:
    """Title, text and link; None if the reader has left or no longer wants such mails."""
    return render_plain(mail) if is_wanted(mail) else None
