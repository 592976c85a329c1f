"""Notices about tokens that others created or deleted: to the issuer, and to those Administrators
who want to hear of every token. Renders the mails about single tokens."""

from collections.abc import Callable, Iterable
from datetime import datetime

from django.db.models import QuerySet
from django.utils import translation
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from accounts.authorization.actor import Actor
from accounts.members.contact_limits import reachable
from accounts.members.mail_policy import is_wanted
from accounts.members.readers import address_of, readers_of
from accounts.models import Membership
from accounts.roles import Role
from apitokens.expiry.scan import MOST_IDS_IN_LINK, link_to
from apitokens.models import APIToken
from notifications import services as notifications
from notifications.email.rendering import (
    RenderedEmail,
    one_name,
    quoted_name,
    quoted_person,
    register_renderer,
    render_plain,
)
from notifications.kinds import (
    TOKEN_CHANGED_BY_OTHERS,
    TOKEN_CHANGED_IN_ACCOUNT,
    TOKEN_USED_FROM_NEW_ADDRESS,
    Kind,
)
from notifications.models import Mail
from notifications.recipients import Person
from notifications.services import News

NAMED = 20
"""Tokens of a notice that it names; its link leads to all."""

Words = Callable[[], tuple[str, str]]
"""Title and text, in the language of the moment."""


def notify_token_changed(token: APIToken, *, was_created: bool, by: Actor, at: datetime) -> None:
    """Tell of one token. Part of the service's transaction."""

    def for_issuer() -> tuple[str, str]:
        words = (
            _("%(who)s created the API token “%(name)s” in your name")
            if was_created
            else _("%(who)s deleted your API token “%(name)s”")
        )
        return words % facts(), _what_to_do()

    def for_administrators() -> tuple[str, str]:
        words = (
            _("%(who)s created the API token “%(name)s”")
            if was_created
            else _("%(who)s deleted the API token “%(name)s”")
        )
        return words % facts(), _issuer_and_role(token)

    def facts() -> dict[str, str]:
        return {"who": _who(by), "name": one_name(token.name)}

    _tell_all([token], for_issuer, for_administrators, by=by, at=at)


def notify_token_edited(token: APIToken, *, by: Actor, at: datetime) -> None:
    """Tell that a token has another name, description, role or expiration."""
    _tell_of_one(
        token,
        lambda: _("%(who)s edited your API token “%(name)s”"),
        lambda: _("%(who)s edited the API token “%(name)s”"),
        by=by,
        at=at,
    )


def notify_token_rotated(token: APIToken, *, by: Actor, at: datetime) -> None:
    """Tell that a token has a new secret, which only the person who acted has seen."""
    _tell_of_one(
        token,
        lambda: _("%(who)s rotated your API token “%(name)s”: it has a new secret"),
        lambda: _("%(who)s rotated the API token “%(name)s”"),
        by=by,
        at=at,
    )


def notify_old_secret_ended(token: APIToken, *, by: Actor, at: datetime) -> None:
    """Tell that the old secret of a token was ended before its time."""
    _tell_of_one(
        token,
        lambda: _("%(who)s ended the old secret of your API token “%(name)s”"),
        lambda: _("%(who)s ended the old secret of the API token “%(name)s”"),
        by=by,
        at=at,
    )


def notify_tokens_deleted(
    deleted: list[APIToken], *, are_all: bool, by: Actor, at: datetime
) -> None:
    """Tell that several tokens of one issuer, or all, were deleted, in one notice."""
    if len(deleted) == 1:
        notify_token_changed(deleted[0], was_created=False, by=by, at=at)
        return

    def for_issuer() -> tuple[str, str]:
        if not are_all:
            return _("%(who)s deleted %(count)d of your API tokens") % facts(), _what_to_do()
        words = ngettext(
            "%(who)s deleted your %(count)d API token",
            "%(who)s deleted all your %(count)d API tokens",
            len(deleted),
        )
        return words % facts(), _what_to_do()

    def for_administrators() -> tuple[str, str]:
        if not are_all:
            return _("%(who)s deleted %(count)d of the API tokens of %(issuer)s") % facts(), ""
        words = ngettext(
            "%(who)s deleted %(count)d API token of %(issuer)s",
            "%(who)s deleted all %(count)d API tokens of %(issuer)s",
            len(deleted),
        )
        return words % facts(), ""

    def facts() -> dict[str, object]:
        issuer = quoted_person(deleted[0].issuer.user)
        return {"who": _who(by), "count": len(deleted), "issuer": issuer}

    _tell_all(deleted, for_issuer, for_administrators, by=by, at=at)


def notify_handed_over(
    tokens: list[APIToken], *, former: Membership, by: Actor, at: datetime
) -> None:
    """Tell both sides that these tokens of one issuer have another one from now on, in one notice
    each; and then the Administrators who want to hear of it, if they are on neither side."""
    receiver = tokens[0].issuer

    def names() -> str:
        return "\n".join(quoted_name(token.name) for token in tokens[:NAMED])

    def facts() -> dict[str, object]:
        return {
            "who": _who(by),
            "count": len(tokens),
            "former": quoted_person(former.user),
            "issuer": quoted_person(receiver.user),
        }

    def for_former() -> tuple[str, str]:
        words = ngettext(
            "%(who)s handed over %(count)d API token of yours to %(issuer)s",
            "%(who)s handed over %(count)d of your API tokens to %(issuer)s",
            len(tokens),
        )
        return words % facts(), f"{names()}\n{_what_to_do()}"

    def for_receiver() -> tuple[str, str]:
        words = ngettext(
            "%(who)s handed over %(count)d API token of %(former)s to you",
            "%(who)s handed over %(count)d API tokens of %(former)s to you",
            len(tokens),
        )
        return words % facts(), f"{names()}\n{_what_to_do()}"

    def for_others() -> tuple[str, str]:
        words = ngettext(
            "%(who)s handed over %(count)d API token of %(former)s to %(issuer)s",
            "%(who)s handed over %(count)d API tokens of %(former)s to %(issuer)s",
            len(tokens),
        )
        return words % facts(), names()

    told = {by.user.pk} if by.user else set[int]()
    for issuer, words in ((former, for_former), (receiver, for_receiver)):
        readers = [each for each in readers_of(issuer) if each.user_id not in told]
        told |= {each.user_id for each in readers}
        in_words = for_others if issuer.is_service_account else words
        _tell(readers, tokens, in_words, kind=TOKEN_CHANGED_BY_OTHERS, at=at)
    others = [each for each in _administrators(receiver.account_id) if each.user_id not in told]
    _tell(others, tokens, for_others, kind=TOKEN_CHANGED_IN_ACCOUNT, at=at)


def _tell_of_one(
    token: APIToken,
    title_for_issuer: Callable[[], str],
    title_for_administrators: Callable[[], str],
    *,
    by: Actor,
    at: datetime,
) -> None:
    def facts() -> dict[str, str]:
        return {"who": _who(by), "name": one_name(token.name)}

    def for_issuer() -> tuple[str, str]:
        return title_for_issuer() % facts(), _what_to_do()

    def for_administrators() -> tuple[str, str]:
        return title_for_administrators() % facts(), _issuer_and_role(token)

    _tell_all([token], for_issuer, for_administrators, by=by, at=at)


def _tell_all(
    tokens: list[APIToken], for_issuer: Words, for_administrators: Words, *, by: Actor, at: datetime
) -> None:
    """Tell of tokens of one issuer. A service account reads nothing: all who look after it are told
    instead, Administrators among them, of what it did not do itself."""
    issuer = tokens[0].issuer
    if issuer.is_service_account and by.user != issuer.user:
        actor_id = by.user.pk if by.user else None
        readers = [each for each in readers_of(issuer) if each.user_id != actor_id]
        _tell(readers, tokens, for_administrators, kind=TOKEN_CHANGED_BY_OTHERS, at=at)
        return
    _tell_issuer(tokens, for_issuer, by=by, at=at)
    _tell_administrators(tokens, for_administrators, by=by, at=at)


def _who(by: Actor) -> str:
    return quoted_person(by.user) if by.user else _("An operator of the portal")


def _what_to_do() -> str:
    return _("If you didn't expect this, contact an Administrator of the account.")


def _issuer_and_role(token: APIToken) -> str:
    words = _("Issued by %(issuer)s, with the role %(role)s.")
    issuer = quoted_person(token.issuer.user)
    return words % {"issuer": issuer, "role": token.held_role.label}


def _tell_issuer(tokens: list[APIToken], words: Words, *, by: Actor, at: datetime) -> None:
    """Tell the issuer, unless they did it or have left."""
    issuer = tokens[0].issuer
    if by.user == issuer.user or issuer.is_removed:
        return
    _tell([issuer], tokens, words, kind=TOKEN_CHANGED_BY_OTHERS, at=at)


def _tell_administrators(tokens: list[APIToken], words: Words, *, by: Actor, at: datetime) -> None:
    """Tell Administrators who want it, except the actor, and the issuer, who is told anyhow."""
    issuer = tokens[0].issuer
    told = [issuer.user_id, by.user.pk if by.user else issuer.user_id]
    others = _administrators(issuer.account_id).exclude(user__in=told)
    _tell(others, tokens, words, kind=TOKEN_CHANGED_IN_ACCOUNT, at=at)


def _administrators(account_id: int) -> QuerySet[Membership]:
    administrators = Membership.objects.filter(
        account=account_id, role=Role.ADMINISTRATORS, removed_at=None
    )
    # By their keys: PostgreSQL would read all people of the portal to find these few.
    present = Membership.everyone.present().filter(pk__among=administrators.values("pk"))
    return present.select_related("user").order_by("pk")


def _tell(
    readers: Iterable[Membership], tokens: list[APIToken], words: Words, *, kind: Kind, at: datetime
) -> None:
    link = link_to([token.pk for token in tokens[:MOST_IDS_IN_LINK]], tokens[0].account_id)
    news = [_news(reader, words, link) for reader in reachable(readers, kind)]
    notifications.tell(news=news, kind=kind, at=at)


def _news(reader: Membership, words: Words, link: str) -> News:
    with translation.override(reader.user.catalogue):
        title, text = words()
    person = Person(reader.user_id, reader.account_id)
    address = address_of(reader)
    return News(person=person, title=title, text=text, link=link, facts={}, address=address)


@register_renderer(TOKEN_CHANGED_BY_OTHERS)
@register_renderer(TOKEN_USED_FROM_NEW_ADDRESS)
def render_token_changed(mail: Mail, _at: datetime) -> RenderedEmail | None:
    """Title, text and link; None if the reader has left or no longer wants such mails."""
    return render_plain(mail) if is_wanted(mail) else None


@register_renderer(TOKEN_CHANGED_IN_ACCOUNT)
def render_token_changed_in_account(mail: Mail, at: datetime) -> RenderedEmail | None:
    """The same; None, too, for a reader who is no Administrator any more and may not see others'
    tokens."""
    administrators = Membership.objects.of(mail.user).filter(role=Role.ADMINISTRATORS)
    is_one = administrators.filter(account=mail.account_id).exists()
    return render_token_changed(mail, at) if is_one else None
