"""How mails read: each kind has a writer, registered by whoever knows what it is about."""

import re
from collections.abc import Callable, Collection
from datetime import UTC, date, datetime
from functools import lru_cache
from typing import Any, NamedTuple
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from django.conf import settings
from django.core.mail import EmailMessage, EmailMultiAlternatives
from django.template.loader import render_to_string
from django.utils import translation
from django.utils.formats import date_format
from django.utils.text import Truncator
from django.utils.translation import gettext as _
from django.utils.translation import pgettext

from notifications import unsubscribe
from notifications.kinds import EVERY_KIND, Kind
from notifications.models import Mail
from notifications.preferences import Person
from notifications.stencils import without_indentation

LONGEST_LINE = 255
TROUBLESOME = re.compile("[\\x00-\\x1f\\x7f-\\x9f\\ud800-\\udfff\\u2028-\\u202e\\u2066-\\u2069]")
"""Control characters, halves of characters, ends of lines and paragraphs, marks of direction."""


class Letter(NamedTuple):
    """The words of a mail: one line, plain text, and HTML that needs no images."""

    subject: str
    text: str
    html: str


Writer = Callable[[Mail], Letter | None]
_writers: dict[str, Writer] = {}


def writes(kind: Kind) -> Callable[[Writer], Writer]:
    """Register the writer of a kind. It is called just before the mail is sent, and answers None if
    there is nothing left to tell."""

    def register(writer: Writer) -> Writer:
        _writers[kind.code] = writer
        return writer

    return register


def write(mail: Mail) -> Letter | None:
    """The words of this mail as of now, in the reader's language."""
    writer = _writers.get(mail.kind, plain_letter)
    return writer(mail)


Reader = Callable[[Collection[Mail]], None]
_readers: dict[str, Reader] = {}


def reads_ahead(kind: Kind) -> Callable[[Reader], Reader]:
    """Register what finds out for many mails of a kind, in few queries, what their writer needs,
    and keeps it with each as `mail.known`."""

    def register(reader: Reader) -> Reader:
        _readers[kind.code] = reader
        return reader

    return register


def read_ahead(mails: Collection[Mail]) -> None:
    """Find out what will be needed to write these mails within the next moments."""
    for code, reader in _readers.items():
        if of_kind := [mail for mail in mails if mail.kind == code]:
            reader(of_kind)


def plain_letter(mail: Mail) -> Letter | None:
    """Title, text and link, for kinds that need no more."""
    title, text, path = (str(mail.facts[name]) for name in ("title", "text", "link"))
    return render(
        mail,
        "emails/plain/body",
        subject=title,
        heading=title,
        lines=[one_line(line) for line in text.splitlines()],
        when=moment(mail.created_at, _("Time"), zone=mail.user.time_zone),
        link=settings.BASE_URL + path,
        action=EVERY_KIND[mail.kind].action_for(1),
    )


class Fact(NamedTuple):
    """A label and what there is to say; `aside` says it once more in another way."""

    label: str
    value: str
    aside: str = ""


def moment(at: datetime, label: str, *, zone: str) -> Fact:
    """A moment in the reader's time zone, and the exact instant in UTC."""
    local = at.astimezone(ZoneInfo(zone))
    day = _day(local.date(), translation.get_language())
    return Fact(
        label, f"{day}, {local:%H:%M} {zone}", f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
    )


@lru_cache(maxsize=1024)
def _day(day: date, _language: str | None) -> str:
    return date_format(day, pgettext("date format", "j M Y"))


def render(mail: Mail, template: str, *, subject: str, heading: str, **words: object) -> Letter:
    """Both parts of a mail, with what every mail shows: for whom, about which account, why, and how
    to stop it."""
    context = {
        **_way_out(mail),
        "heading": one_line(heading),
        "reader_name": one_line(mail.user.get_full_name()),
        "account_name": one_line(mail.account.name) if mail.account else "",
        "kind": EVERY_KIND[mail.kind],
        "base_url": settings.BASE_URL,
        **words,
    }
    return Letter(
        subject=one_line(subject),
        text=render_to_string(f"{template}.txt", context),
        html=without_indentation(render_to_string(f"{template}.html", context)),
    )


def reader_of(mail: Mail) -> Person:
    """Whom a mail about an account is for."""
    assert mail.account_id is not None
    return Person(mail.user_id, mail.account_id)


def _way_out(mail: Mail) -> dict[str, str]:
    """How to stop mails of this kind; nothing for those that nobody can turn off."""
    if (person := _stoppable_for(mail)) is None:
        return {}
    return {
        "settings_url": settings.BASE_URL + unsubscribe.settings_path(person),
        "unsubscribe_url": unsubscribe.link(person, EVERY_KIND[mail.kind]),
    }


def _stoppable_for(mail: Mail) -> Person | None:
    """Whoever may turn off mails like this one."""
    if mail.account_id is None or not EVERY_KIND[mail.kind].is_optional:
        return None
    return reader_of(mail)


def one_line(text: str) -> str:
    """Text for a header, or for a place among other texts: one line of a bearable length, without
    characters that start another line or turn the direction of what follows."""
    line = " ".join(TROUBLESOME.sub(" ", text).split())
    return Truncator(line).chars(LONGEST_LINE) if len(line) > LONGEST_LINE else line


class UnfoldedMail(EmailMultiAlternatives):
    """A mail whose long headers stay on one line, up to the 998 characters that RFC 5322 allows.

    The standard library would put an address that is longer than 78 characters on a line of its own
    below the header's name, which not every mail program takes for a List-Unsubscribe.
    """

    def message(self) -> Any:
        message = super().message()
        message.policy = message.policy.clone(max_line_length=998)
        return message


def compose(mail: Mail, letter: Letter) -> EmailMessage:
    """The mail as it goes over the wire. Its Message-ID comes from the row, so that a repeat can be
    recognised; if it is optional, it can be unsubscribed from with one click (RFC 8058).

    It is dated when it goes, which Django does.
    """
    message = UnfoldedMail(
        subject=letter.subject,
        body=letter.text,
        from_email=settings.DEFAULT_FROM_EMAIL,
        to=[mail.goes_to],
        headers={
            "Message-ID": message_id(mail),
            "Auto-Submitted": "auto-generated",
            **_one_click(mail),
        },
    )
    message.attach_alternative(letter.html, "text/html")
    return message


def _one_click(mail: Mail) -> dict[str, str]:
    if (person := _stoppable_for(mail)) is None:
        return {}
    return {
        "List-Unsubscribe": f"<{unsubscribe.link(person, EVERY_KIND[mail.kind])}>",
        "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
    }


def message_id(mail: Mail) -> str:
    host = urlsplit(settings.BASE_URL).hostname or "localhost"
    return f"<{mail.pk.hex}@{host}>"


def in_readers_language(mail: Mail) -> translation.override:
    """Write what comes as the reader of the mail reads it."""
    return translation.override(mail.user.catalogue)
