"""Tells a person that somebody else created or deleted an API token in their name; and how mails
about single tokens read."""

from datetime import datetime

from django.utils import translation
from django.utils.translation import gettext as _

from accounts.actors import Actor
from accounts.models import Membership
from apitokens.expiry import link_to
from apitokens.models import APIToken
from notifications import services as notifications
from notifications.kinds import (
    KINDS,
    TOKEN_CHANGED_BY_OTHERS,
    TOKEN_USED_FROM_NEW_ADDRESS,
    Channel,
)
from notifications.mails import Letter, plain_letter, reader_of, writes
from notifications.models import Mail
from notifications.preferences import Person, wanted_channels
from notifications.services import News


def tell_issuer(token: APIToken, *, was_created: bool, by: Actor, at: datetime) -> None:
    """Tell the issuer, unless they did it or have left. Part of the verb's transaction."""
    issuer = token.issuer
    if by.user == issuer.user or issuer.is_removed:
        return
    with translation.override(issuer.user.catalogue):
        words = (
            _("%(who)s created the API token “%(name)s” in your name")
            if was_created
            else _("%(who)s deleted your API token “%(name)s”")
        )
        who = by.user.get_full_name() if by.user else _("An operator of the portal")
        title = words % {"who": who, "name": token.name}
        text = _("If you did not expect this, ask an Administrator of the account.")
    news = News(
        person=Person(issuer.user_id, token.account_id),
        title=title,
        text=text,
        link=link_to([token]),
        facts={},
    )
    notifications.tell(news=[news], kind=TOKEN_CHANGED_BY_OTHERS, at=at)


@writes(TOKEN_CHANGED_BY_OTHERS)
@writes(TOKEN_USED_FROM_NEW_ADDRESS)
def change_letter(mail: Mail, _at: datetime) -> Letter | None:
    """Title, text and link; None if the reader has left or no longer wants such mails."""
    person = reader_of(mail)
    is_member = Membership.objects.of(mail.user).filter(account_id=person.account_id).exists()
    wanted = wanted_channels([person], KINDS[mail.kind])[person]
    return plain_letter(mail) if is_member and Channel.EMAIL in wanted else None
