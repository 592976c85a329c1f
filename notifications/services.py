"""Services of notifications: put news into inboxes and the outbox."""

from collections.abc import Container, Iterable
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from django.db import transaction

from notifications.kinds import Channel, Kind
from notifications.models import Mail, Notice
from notifications.preferences.services import wanted_channels
from notifications.recipients import Person

BATCH = 2_000
GIVE_UP_AFTER = timedelta(days=3)


class News(NamedTuple):
    """News for one person: words for the inbox, and facts for the renderer of the mail. With an
    `address` nobody has the inbox: there is a mail alone, which goes there."""

    person: Person
    title: str
    text: str
    link: str
    facts: dict[str, Any]
    resend_in_doubt: bool = True
    address: str = ""


class Notified(NamedTuple):
    """The inbox entries and the mails that were made."""

    notices: list[Notice]
    mails: list[Mail]


@transaction.atomic
def tell(
    *, news: Iterable[News], kind: Kind, at: datetime, mailed_already: Container[Person] = ()
) -> Notified:
    """Tell these people, each by the channels they want. Sending happens later, from the database.

    Those `mailed_already` get no second mail: one of this kind waits for them, and will tell it.
    """
    told = list(news)
    wanted = wanted_channels({each.person for each in told}, kind)
    notices = [
        Notice(
            user_id=each.person.user_id,
            account_id=each.person.account_id,
            kind=kind.code,
            title=each.title[:255],
            text=each.text,
            link=each.link,
            created_at=at,
        )
        for each in told
        if Channel.PORTAL in wanted[each.person] and not each.address
    ]
    mails = [
        Mail(
            user_id=each.person.user_id,
            account_id=each.person.account_id,
            address=each.address,
            kind=kind.code,
            facts={"title": each.title, "text": each.text, "link": each.link, **each.facts},
            created_at=at,
            next_try_at=at,
            give_up_at=at + GIVE_UP_AFTER,
            resend_in_doubt=each.resend_in_doubt,
        )
        for each in told
        if Channel.EMAIL in wanted[each.person] and each.person not in mailed_already
    ]
    Notice.objects.bulk_create(notices, batch_size=BATCH)
    Mail.objects.bulk_create(mails, batch_size=BATCH)
    return Notified(notices, mails)


def post(
    *,
    user_id: int,
    kind: Kind,
    at: datetime,
    facts: dict[str, Any] | None = None,
    account_id: int | None = None,
    address: str = "",
    give_up_after: timedelta = GIVE_UP_AFTER,
) -> Mail:
    """Put one mail on its way that the person cannot have turned off: a link they asked for, or a
    warning. It goes to the address they have when it is sent, or to the `address` given."""
    if kind.is_optional:
        raise ValueError(f"People choose whether they want {kind.code}: tell them.")
    return Mail.objects.create(
        user_id=user_id,
        account_id=account_id,
        address=address,
        kind=kind.code,
        facts=facts or {},
        created_at=at,
        next_try_at=at,
        give_up_at=at + give_up_after,
    )


def mark_read(
    *, person: Person, at: datetime, notice_id: int | None = None, newest_id: int | None = None
) -> int:
    """Mark one entry of the person's inbox as read, or all of them, up to the newest that they have
    seen. Returns how many were not."""
    unread = Notice.objects.to(user_id=person.user_id, account_id=person.account_id).unread()
    if notice_id is not None:
        unread = unread.filter(pk=notice_id)
    if newest_id is not None:
        unread = unread.filter(pk__lte=newest_id)
    return unread.order_by().update(read_at=at)
