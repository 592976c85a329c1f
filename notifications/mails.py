"""How mails read: each kind has a writer, registered by whoever knows what it is about."""

from collections.abc import Callable
from email.utils import formatdate
from typing import NamedTuple
from urllib.parse import urlsplit

from django.conf import settings
from django.core.mail import EmailMessage, EmailMultiAlternatives
from django.template.loader import render_to_string
from django.utils import translation

from notifications import unsubscribe
from notifications.kinds import KINDS, Kind
from notifications.models import Mail
from notifications.preferences import Person


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


def plain_letter(mail: Mail) -> Letter | None:
    """Title, text and link, for kinds that need no more."""
    context = {**mail.facts, **common_context(mail)}
    return Letter(
        subject=one_line(str(mail.facts["title"])),
        text=render_to_string("emails/plain/body.txt", context),
        html=render_to_string("emails/plain/body.html", context),
    )


def common_context(mail: Mail) -> dict[str, object]:
    """What every mail shows: for whom, about which account, and how to stop it."""
    person = Person(mail.user_id, mail.account_id)
    kind = KINDS[mail.kind]
    return {
        "reader": mail.user,
        "account": mail.account,
        "kind": kind,
        "base_url": settings.BASE_URL,
        "settings_url": settings.BASE_URL + unsubscribe.settings_path(person),
        "unsubscribe_url": unsubscribe.link(person, kind),
    }


def one_line(text: str) -> str:
    """Text for a header: no line break or control character can start another one."""
    return " ".join("".join(c if c.isprintable() else " " for c in text).split())


def compose(mail: Mail, letter: Letter) -> EmailMessage:
    """The mail as it goes over the wire. Its Message-ID comes from the row, so that a repeat can be
    recognised; it can be unsubscribed from with one click (RFC 8058)."""
    stop = unsubscribe.link(Person(mail.user_id, mail.account_id), KINDS[mail.kind])
    message = EmailMultiAlternatives(
        subject=letter.subject,
        body=letter.text,
        from_email=settings.DEFAULT_FROM_EMAIL,
        to=[mail.user.email],
        headers={
            "Message-ID": message_id(mail),
            "Date": formatdate(mail.created_at.timestamp()),
            "List-Unsubscribe": f"<{stop}>",
            "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
            "Auto-Submitted": "auto-generated",
        },
    )
    message.attach_alternative(letter.html, "text/html")
    return message


def message_id(mail: Mail) -> str:
    host = urlsplit(settings.BASE_URL).hostname or "localhost"
    return f"<{mail.pk.hex}@{host}>"


def in_readers_language(mail: Mail) -> translation.override:
    """Write what comes as the reader of the mail reads it."""
    return translation.override(mail.user.catalogue)
