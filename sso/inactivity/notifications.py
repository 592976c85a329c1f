"""Notifications of the inactivity policy, to Administrators and to suspended members."""

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
from notifications.email.rendering import (
    RenderedEmail,
    quoted_name,
    quoted_person,
    register_renderer,
    render_plain,
)
from notifications.kinds import STAYED_AWAY
from notifications.links import path_to
from notifications.models import Mail
from notifications.recipients import Person
from notifications.services import News
from sso.models import Connection, InactivityAction

MAX_NAMES = 10
"""Names in one notification; the page lists all members."""


class InactiveMember(NamedTuple):
    """An inactive member, and the number of their active API tokens."""

    member: Membership
    tokens: int


def notify_administrators(
    connection: Connection, inactive: Sequence[InactiveMember], at: datetime
) -> None:
    """Notify each Administrator once about all these members, as reported or suspended."""
    administrators = Membership.objects.present().filter(
        account=connection.account_id, role=Role.ADMINISTRATORS
    )
    news = [
        _for_administrator(reader, connection, inactive)
        for reader in administrators.select_related("user").order_by("pk")
    ]
    notifications.tell(news=news, kind=STAYED_AWAY, at=at)


def _for_administrator(
    reader: Membership, connection: Connection, inactive: Sequence[InactiveMember]
) -> News:
    is_suspended = connection.idle_action == InactivityAction.SUSPEND
    with translation.override(reader.user.catalogue):
        words = {
            "name": quoted_person(inactive[0].member.user),
            "count": len(inactive),
            "days": connection.idle_days,
            "provider": quoted_name(connection.name),
        }
        if is_suspended:
            title = _suspended_title(len(inactive))
            rest = _("Their tokens will work again as soon as they sign in there.")
        else:
            title = _inactive_title(len(inactive))
            rest = _("Their tokens keep working. If someone has left, delete their tokens.")
        why = ngettext(
            "No sign-in through %(provider)s for %(days)d day or more:",
            "No sign-in through %(provider)s for %(days)d days or more:",
            connection.idle_days,
        )
        text = f"{why % words} {_list_names(inactive)}.\n{rest}"
        query = "?status=suspended" if is_suspended else "?signs_in_by=sso&status=unended"
    return _news(reader, title % words, text, query=query)


def _suspended_title(count: int) -> str:
    """The title; one member is named. (Not by gettext's plural: in some languages 21 takes the form
    of 1.)"""
    if count == 1:
        return _("The API tokens of %(name)s are suspended")
    return ngettext(
        "The API tokens of %(count)d person are suspended",
        "The API tokens of %(count)d people are suspended",
        count,
    )


def _inactive_title(count: int) -> str:
    if count == 1:
        return _("%(name)s no longer signs in but has active API tokens")
    return ngettext(
        "%(count)d person no longer signs in but has active API tokens",
        "%(count)d people no longer sign in but have active API tokens",
        count,
    )


def notify_suspended_members(
    connection: Connection, inactive: Sequence[InactiveMember], at: datetime
) -> None:
    """Notify each member that their own API tokens are suspended, and how to resume them."""
    news = [_for_suspended(each.member, connection) for each in inactive]
    notifications.tell(news=news, kind=STAYED_AWAY, at=at)


def _for_suspended(member: Membership, connection: Connection) -> News:
    with translation.override(member.user.catalogue):
        words = {"days": connection.idle_days, "provider": quoted_name(connection.name)}
        why = ngettext(
            "You haven't signed in through %(provider)s for %(days)d day.",
            "You haven't signed in through %(provider)s for %(days)d days.",
            connection.idle_days,
        )
        what_to_do = _("Sign in there once and they will work again immediately.")
        title = _("Your API tokens are suspended")
        text = f"{why % words}\n{what_to_do}"
    return _news(member, title, text)


def _list_names(inactive: Sequence[InactiveMember]) -> str:
    named = ", ".join(map(_with_tokens, inactive[:MAX_NAMES]))
    more = len(inactive) - MAX_NAMES
    if more <= 0:
        return named
    words = ngettext("and %(count)d more", "and %(count)d more", more) % {"count": more}
    return f"{named} {words}"


def _with_tokens(each: InactiveMember) -> str:
    words = ngettext(
        "%(name)s (%(count)d API token)", "%(name)s (%(count)d API tokens)", each.tokens
    )
    return words % {"name": quoted_person(each.member.user), "count": each.tokens}


def _news(reader: Membership, title: str, text: str, *, query: str = "") -> News:
    return News(
        person=Person(reader.user_id, reader.account_id),
        title=title,
        text=text,
        link=path_to("apitokens:list", account_id=reader.account_id) + query,
        facts={},
    )


@register_renderer(STAYED_AWAY)
def render_inactivity_notice(mail: Mail, _at: datetime) -> RenderedEmail | None:
    """Render the e-mail; None if the reader has left or has switched this kind off."""
    return render_plain(mail) if is_wanted(mail) else None
