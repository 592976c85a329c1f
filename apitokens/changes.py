"""Tells a person that somebody else created or deleted an API token in their name; and how mails
about single tokens read."""

from datetime import datetime

from django.utils import translation
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from accounts.actors import Actor
from accounts.mailing import is_wanted
from accounts.models import Membership
from apitokens.expiry import MOST_IDS_IN_LINK, link_to
from apitokens.models import APIToken
from notifications import services as notifications
from notifications.kinds import TOKEN_CHANGED_BY_OTHERS, TOKEN_USED_FROM_NEW_ADDRESS
from notifications.mails import Letter, one_name, plain_letter, writes
from notifications.models import Mail
from notifications.preferences import Person
from notifications.services import News


def tell_issuer(token: APIToken, *, was_created: bool, by: Actor, at: datetime) -> None:
    """Tell the issuer, unless they did it or have left. Part of the verb's transaction."""
    with translation.override(token.issuer.user.catalogue):
        words = (
            _("%(who)s created the API token “%(name)s” in your name")
            if was_created
            else _("%(who)s deleted your API token “%(name)s”")
        )
        title = words % {"who": _who(by), "name": one_name(token.name)}
    _tell(token.issuer, title, [token], by=by, at=at)


def tell_issuer_of_all(deleted: list[APIToken], *, by: Actor, at: datetime) -> None:
    """The same about all tokens of one issuer, in one notice."""
    issuer = deleted[0].issuer
    if len(deleted) == 1:
        tell_issuer(deleted[0], was_created=False, by=by, at=at)
        return
    with translation.override(issuer.user.catalogue):
        words = ngettext(
            "%(who)s deleted your %(count)d API token",
            "%(who)s deleted all your %(count)d API tokens",
            len(deleted),
        )
        title = words % {"who": _who(by), "count": len(deleted)}
    _tell(issuer, title, deleted, by=by, at=at)


def _who(by: Actor) -> str:
    return one_name(by.user.get_full_name()) if by.user else _("An operator of the portal")


def _tell(
    issuer: Membership, title: str, tokens: list[APIToken], *, by: Actor, at: datetime
) -> None:
    if by.user == issuer.user or issuer.is_removed:
        return
    with translation.override(issuer.user.catalogue):
        text = _("If you did not expect this, ask an Administrator of the account.")
    news = News(
        person=Person(issuer.user_id, issuer.account_id),
        title=title,
        text=text,
        link=link_to(tokens[:MOST_IDS_IN_LINK]),
        facts={},
    )
    notifications.tell(news=[news], kind=TOKEN_CHANGED_BY_OTHERS, at=at)


@writes(TOKEN_CHANGED_BY_OTHERS)
@writes(TOKEN_USED_FROM_NEW_ADDRESS)
def change_letter(mail: Mail, _at: datetime) -> Letter | None:
    """Title, text and link; None if the reader has left or no longer wants such mails."""
    return plain_letter(mail) if is_wanted(mail) else None
