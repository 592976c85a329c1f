"""Notices that an Administrators' token is used from a new address."""

from collections.abc import Iterable, Sequence
from datetime import datetime

from django.db.models import Q
from django.utils import translation
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from accounts.members.contact_limits import reachable
from accounts.members.readers import address_of, readers_of
from accounts.models import Membership
from accounts.roles import Role
from apitokens.models import APIToken
from notifications import services as notifications
from notifications.email.rendering import one_name
from notifications.kinds import TOKEN_USED_FROM_NEW_ADDRESS
from notifications.links import path_to
from notifications.recipients import Person
from notifications.services import News

ADDRESSES_NAMED = 10


def notify_new_addresses(
    token: APIToken, addresses: Sequence[str], *, is_first_use: bool, at: datetime
) -> None:
    """Tell the issuer, or those who look after the service account, and the Administrators of the
    account, if the token is an Administrators' token. Part of the transaction that stores the
    addresses."""
    if token.held_role is not Role.ADMINISTRATORS:
        return
    issuer = Membership.everyone.select_related("user").get(pk=token.issuer_id)
    members: Iterable[Membership] = (
        Membership.objects.present()
        .filter(Q(role=Role.ADMINISTRATORS) | Q(pk=token.issuer_id), account_id=token.account_id)
        .select_related("user")
        .order_by("pk")
    )
    if issuer.is_service_account:
        members = reachable(readers_of(issuer), TOKEN_USED_FROM_NEW_ADDRESS)
    notifications.tell(
        news=[_news(token, member, addresses, is_first_use) for member in members],
        kind=TOKEN_USED_FROM_NEW_ADDRESS,
        at=at,
    )


def _news(
    token: APIToken, member: Membership, addresses: Sequence[str], is_first_use: bool
) -> News:
    with translation.override(member.user.catalogue):
        if is_first_use:
            title = _(
                "The API token “%(name)s” with the role Administrators was used for the first time"
            )
        else:
            title = ngettext(
                "The API token “%(name)s” with the role Administrators was used from a new IP "
                "address",
                "The API token “%(name)s” with the role Administrators was used from new IP "
                "addresses",
                len(addresses),
            )
        return News(
            person=Person(member.user_id, token.account_id),
            title=title % {"name": one_name(token.name)},
            text=f"{_listed(addresses)}\n{_what_to_do()}",
            link=_page_of(token),
            facts={},
            address=address_of(member),
        )


def _listed(addresses: Sequence[str]) -> str:
    named, more = addresses[:ADDRESSES_NAMED], len(addresses[ADDRESSES_NAMED:])
    words = ngettext("IP address: %(list)s", "IP addresses: %(list)s", len(addresses))
    line = words % {"list": ", ".join(named)}
    if more:
        line += " " + ngettext("and %(count)d more", "and %(count)d more", more) % {"count": more}
    return line


def _what_to_do() -> str:
    return _("If you don't know who uses it from there, delete the token and create a new one.")


def _page_of(token: APIToken) -> str:
    """The path of the token's own page, in its account."""
    return path_to("apitokens:token", account_id=token.account_id, pk=token.pk)
