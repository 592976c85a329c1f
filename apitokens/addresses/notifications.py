"""Notices that a token was used from an address that its list does not allow."""

from datetime import datetime, timedelta

from django.db.models import Q
from django.utils import translation
from django.utils.translation import gettext as _

from accounts.members.contact_limits import reachable
from accounts.members.mail_policy import is_wanted
from accounts.members.readers import address_of, readers_of
from accounts.models import Membership
from accounts.roles import Role
from apitokens.models import APIToken
from notifications import services as notifications
from notifications.email.rendering import RenderedEmail, one_name, register_renderer, render_plain
from notifications.kinds import TOKEN_USED_FROM_ELSEWHERE
from notifications.links import path_to
from notifications.models import Mail
from notifications.recipients import Person
from notifications.services import News

TOLD_EVERY = timedelta(days=1)
"""Of each token: one that is tried all the time would fill the inboxes."""


def tell_of_refusal(token_id: int, *, address: str | None, at: datetime) -> None:
    """Tell the issuer, or those who look after the service account, and the Administrators of the
    account, unless they were told within the day. A contact address is told only so often, of all
    tokens together. Part of the caller's transaction."""
    due = Q(address_refusal_told_at=None) | Q(address_refusal_told_at__lte=at - TOLD_EVERY)
    if not APIToken.objects.filter(due, pk=token_id).update(address_refusal_told_at=at):
        return
    token = APIToken.objects.select_related("issuer__user").get(pk=token_id)
    administrators = Membership.objects.present().filter(
        account=token.account_id, role=Role.ADMINISTRATORS
    )
    found = [*readers_of(token.issuer), *administrators.select_related("user").order_by("pk")]
    readers = {reader.pk: reader for reader in found}.values()
    told = reachable(readers, TOKEN_USED_FROM_ELSEWHERE)
    news = [_news(token, reader, address) for reader in told]
    notifications.tell(news=news, kind=TOKEN_USED_FROM_ELSEWHERE, at=at)


def _news(token: APIToken, reader: Membership, address: str | None) -> News:
    with translation.override(reader.user.catalogue):
        title = _("The API token “%(name)s” was used from an address that isn't allowed")
        where = (
            _("IP address: %(list)s") % {"list": address}
            if address
            else _("The IP address isn't known.")
        )
        what_to_do = _(
            "It was rejected, but the one who used it has the whole token. If you don't know who "
            "it was, rotate the token. If the address is right, add it to the token's list."
        )
    return News(
        person=Person(reader.user_id, token.account_id),
        title=title % {"name": one_name(token.name)},
        text=f"{where}\n{what_to_do}",
        link=path_to("apitokens:token", account_id=token.account_id, pk=token.pk),
        facts={},
        address=address_of(reader),
    )


@register_renderer(TOKEN_USED_FROM_ELSEWHERE)
def render_refusal(mail: Mail, _at: datetime) -> RenderedEmail | None:
    """Title, text and link; None if the reader has left or no longer wants such mails."""
    return render_plain(mail) if is_wanted(mail) else None
