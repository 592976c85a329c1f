"""How mails read: each kind has a writer, registered by whoever knows what it is about."""

import re
from collections.abc import Callable, Collection, Hashable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, date, datetime
from functools import lru_cache
from typing import Any, NamedTuple, Self, TypeVar
from urllib.parse import urlsplit
from uuid import UUID
from zoneinfo import ZoneInfo

from django.conf import settings
from django.core.mail import EmailMessage
from django.template.loader import render_to_string
from django.utils import translation
from django.utils.formats import date_format
from django.utils.text import Truncator
from django.utils.translation import gettext as _
from django.utils.translation import pgettext

from notifications.email.mime import TwoPartMail, as_bytes
from notifications.email.stencils import Context, fill_both, on_few_lines
from notifications.kinds import EVERY_KIND, Kind
from notifications.models import Mail
from notifications.preferences import unsubscribe
from notifications.recipients import Person

LONGEST_LINE, LONGEST_NAME = 255, 100
TROUBLESOME = re.compile("[\\x00-\\x1f\\x7f-\\x9f\\ud800-\\udfff\\u2028-\\u202e\\u2066-\\u2069]")
"""Control characters, halves of characters, ends of lines and paragraphs, marks of direction."""


class RenderedEmail(NamedTuple):
    """The words of a mail: one line, plain text, and HTML that needs no images."""

    subject: str
    text: str
    html: str
    stop_url: str = ""
    """What stops mails like this one with one click; "" if nobody can turn them off."""


Known = TypeVar("Known")
Writer = Callable[[Mail, datetime], RenderedEmail | None]
Reader = Callable[[Collection[Mail], datetime], Mapping[UUID, Known]]


class _Renderer(NamedTuple):
    """Who writes the mails of a kind, and who finds out what they are written from."""

    write: Callable[[Mail, datetime, Any], RenderedEmail | None]
    read: Reader[Any] | None = None


_desks: dict[str, _Renderer] = {}


def register_renderer(kind: Kind) -> Callable[[Writer], Writer]:
    """Register the writer of a kind. It is called moments before the mail is sent, and answers None
    if there is nothing left to tell."""

    def register(writer: Writer) -> Writer:
        _desks[kind.code] = _Renderer(lambda mail, at, _known: writer(mail, at))
        return writer

    return register


def register_bulk_renderer(
    reader: Reader[Known], kind: Kind
) -> Callable[[Callable[[Mail, datetime, Known], RenderedEmail | None]], Writer]:
    """Register the writer of a kind that comes in great numbers: what it needs to know is found out
    by the reader for many mails at once, in few queries."""

    def register(writer: Callable[[Mail, datetime, Known], RenderedEmail | None]) -> Writer:
        _desks[kind.code] = _Renderer(writer, reader)
        return lambda mail, at: writer(mail, at, reader([mail], at)[mail.pk])

    return register


def write_ahead(mails: Collection[Mail], *, at: datetime) -> dict[UUID, EmailMessage | None]:
    """Those of these mails that come in great numbers, ready to be sent; None instead of what has
    nothing left to tell. Without any that cannot be written: who writes it alone (`write`) will be
    told why."""
    ready: dict[UUID, EmailMessage | None] = {}
    for code, desk in _desks.items():
        if desk.read and (of_kind := [mail for mail in mails if mail.kind == code]):
            known = desk.read(of_kind, at)
            for mail in of_kind:
                with suppress(Exception), in_readers_language(mail):
                    letter = write(mail, at=at, known=known[mail.pk])
                    message = compose(mail, letter) if letter else None
                    if message:
                        as_bytes(message)  # which it keeps
                    ready[mail.pk] = message
    return ready


def write(mail: Mail, *, at: datetime, known: object = None) -> RenderedEmail | None:
    """The words of this mail as of now, in the active language; from what is `known` of it, if that
    was asked for already."""
    desk = _desks.get(mail.kind, _PLAIN)
    if desk.read and known is None:
        known = desk.read([mail], at)[mail.pk]
    return desk.write(mail, at, known)


def plain_letter(mail: Mail) -> RenderedEmail:
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


_PLAIN = _Renderer(lambda mail, _at, _known: plain_letter(mail))


class Fact(NamedTuple):
    """A label and what there is to say; `aside` says it once more in another way."""

    label: str
    value: str
    aside: str = ""


def moment(at: datetime, label: str, *, zone: str) -> Fact:
    """A moment in the reader's time zone, and the exact instant in UTC."""
    return Fact(label, in_zone(at, zone, translation.get_language()), in_utc(at))


def in_zone(at: datetime, zone: str, language: str | None) -> str:
    """A moment by the clock there, in the active language, which whoever asks often knows."""
    local = at.astimezone(ZoneInfo(zone))
    return f"{_day(local.date(), language)}, {local.hour:02}:{local.minute:02} {zone}"


def in_utc(at: datetime) -> str:
    return f"{at.astimezone(UTC).replace(tzinfo=None).isoformat(' ', 'seconds')} UTC"


@lru_cache(maxsize=1024)
def _day(day: date, _language: str | None) -> str:
    return date_format(day, pgettext("date format", "j M Y"))


class LayoutContext(NamedTuple):
    """What every mail shows: for whom, about which account, and how to stop it."""

    heading: str
    reader_name: str
    account_name: str
    settings_url: str
    unsubscribe_url: str
    base_url: str

    @classmethod
    def of(cls, mail: Mail, heading: str) -> Self:
        person = _stoppable_for(mail)
        return cls(
            heading=one_line(heading),
            reader_name=one_line(mail.user.get_full_name()),
            account_name=one_line(mail.account.name) if mail.account else "",
            settings_url=settings.BASE_URL + unsubscribe.settings_path(person) if person else "",
            unsubscribe_url=unsubscribe.link(person, EVERY_KIND[mail.kind]) if person else "",
            base_url=settings.BASE_URL,
        )


def render(
    mail: Mail, template: str, *, subject: str, heading: str, **words: object
) -> RenderedEmail:
    """Both parts of a mail, in its frame."""
    frame = LayoutContext.of(mail, heading)
    context = {**frame._asdict(), "kind": EVERY_KIND[mail.kind], **words}
    return RenderedEmail(
        subject=one_line(subject),
        text=render_to_string(f"{template}.txt", context),
        html=on_few_lines(render_to_string(f"{template}.html", context)),
        stop_url=frame.unsubscribe_url,
    )


def render_alike(
    mail: Mail,
    template: str,
    *,
    subject: str,
    heading: str,
    words: Sequence[str],
    context: Context,
    facts: tuple[Hashable, ...],
) -> RenderedEmail:
    """As `render`, for mails that come in great numbers and differ in little but their words
    (`notifications.email.stencils`)."""
    frame = LayoutContext.of(mail, heading)
    text, html = fill_both(
        template,
        (*frame, *words),
        _framed,
        translation.get_language(),
        (context, mail.kind, *facts),
    )
    return RenderedEmail(one_line(subject), text, html, stop_url=frame.unsubscribe_url)


def _framed(
    words: Sequence[str], context: Context, kind: str, *facts: Hashable
) -> dict[str, object]:
    size = len(LayoutContext._fields)
    frame = LayoutContext(*words[:size])
    return {**frame._asdict(), "kind": EVERY_KIND[kind], **context(words[size:], *facts)}


def reader_of(mail: Mail) -> Person:
    """Whom a mail about an account is for."""
    assert mail.account_id is not None
    return Person(mail.user_id, mail.account_id)


def _stoppable_for(mail: Mail) -> Person | None:
    """Whoever may turn off mails like this one."""
    if mail.account_id is None or not EVERY_KIND[mail.kind].is_optional:
        return None
    return reader_of(mail)


def one_line(text: str, longest: int = LONGEST_LINE) -> str:
    """Text for a header, or for a place among other texts: one line of a bearable length, without
    characters that start another line or turn the direction of what follows."""
    line = " ".join(TROUBLESOME.sub(" ", text).split())
    return Truncator(line).chars(longest) if len(line) > longest else line


def one_name(name: str) -> str:
    """The name of somebody or something within a title, whose other words must stay in sight."""
    return one_line(name, LONGEST_NAME)


def compose(mail: Mail, letter: RenderedEmail) -> TwoPartMail:
    """The mail as it goes over the wire. Its Message-ID comes from the row, so that a repeat can be
    recognised; if it is optional, it can be unsubscribed from with one click (RFC 8058).

    It is dated when it goes, or is put together to go within moments.
    """
    return TwoPartMail(
        subject=letter.subject,
        text=letter.text,
        html=letter.html,
        to=mail.goes_to,
        message_id=message_id(mail),
        headers={"Auto-Submitted": "auto-generated", **_one_click(letter)},
    )


def _one_click(letter: RenderedEmail) -> dict[str, str]:
    if not letter.stop_url:
        return {}
    return {
        "List-Unsubscribe": f"<{letter.stop_url}>",
        "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
    }


def message_id(mail: Mail) -> str:
    host = urlsplit(settings.BASE_URL).hostname or "localhost"
    return f"<{mail.pk.hex}@{host}>"


def in_readers_language(mail: Mail) -> translation.override:
    """Write what comes as the reader of the mail reads it."""
    return translation.override(mail.user.catalogue)
