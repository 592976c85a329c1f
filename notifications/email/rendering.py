"""Renders e-mails. The app that owns a kind of notice registers its renderer."""

import re
import unicodedata
from collections.abc import Callable
from datetime import UTC, datetime
from email.policy import compat32
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from django.conf import settings
from django.core.mail import EmailMultiAlternatives
from django.template.loader import render_to_string
from django.utils import translation
from django.utils.formats import date_format
from django.utils.text import Truncator
from django.utils.translation import gettext as _
from django.utils.translation import pgettext

from notifications.kinds import EVERY_KIND, Kind
from notifications.links import defuse_links, has_link
from notifications.models import Mail
from notifications.preferences import unsubscribe
from notifications.recipients import Person
from notifications.time_zones import zone_of

LONGEST_LINE, LONGEST_NAME = 255, 100
UNSAFE_IN_LINE = re.compile("[\\x00-\\x1f\\x7f-\\x9f\\ud800-\\udfff\\u2028-\\u202e\\u2066-\\u2069]")
"""Control characters, unpaired surrogates, ends of lines and paragraphs, marks of direction."""
IN_NAMES = {*".'’-·", "\u200c", "\u200d"}
"""Besides letters, their marks, and digits. The last two join and part letters of some scripts."""
MOST_WORDS = 4
QUOTES = re.compile('["\u201c-\u201f\u00ab\u00bb\u301d-\u301f\uff02\u300c-\u300f]')
INDENTATION = re.compile(r"\n\s*")
UNFOLDED = compat32.clone(max_line_length=998)
"""Headers break only where RFC 5322 demands it."""
STARTS_LINE = re.compile(r" (?=<(?:meta|title|style|body|table|tr|h1|h2|p)\b)")


class RenderedEmail(NamedTuple):
    """A mail in words: a subject of one line, plain text, and HTML that needs no images.

    `unsubscribe_url` turns off mails of this kind with one click; "" if they cannot be turned off.
    """

    subject: str
    text: str
    html: str
    unsubscribe_url: str = ""


Renderer = Callable[[Mail, datetime], RenderedEmail | None]

_renderers: dict[str, Renderer] = {}


def register_renderer(kind: Kind) -> Callable[[Renderer], Renderer]:
    """Register the renderer of a kind. It is called moments before the mail is sent, in the
    reader's language, and returns None if there is nothing left to tell."""

    def register(renderer: Renderer) -> Renderer:
        _renderers[kind.code] = renderer
        return renderer

    return register


def render_mail(mail: Mail, *, at: datetime) -> RenderedEmail | None:
    """Render a mail as of now, in its reader's language; None if there is nothing left to tell."""
    with translation.override(mail.user.catalogue):
        renderer = _renderers.get(mail.kind)
        return renderer(mail, at) if renderer else render_plain(mail)


def render_plain(mail: Mail) -> RenderedEmail:
    """Render title, text and link, for kinds that need no more."""
    title, text, path = (str(mail.facts[name]) for name in ("title", "text", "link"))
    return render_templates(
        mail,
        "emails/plain/body",
        subject=title,
        heading=title,
        lines=[one_line(line) for line in text.splitlines()],
        when=moment(mail.created_at, _("Time"), zone=mail.user.time_zone),
        link=settings.BASE_URL + path,
        action=EVERY_KIND[mail.kind].action_for(1),
    )


def render_templates(
    mail: Mail, template: str, *, subject: str, heading: str, **context: object
) -> RenderedEmail:
    """Render both parts of a mail, `template.txt` and `template.html`, in the layout of mails."""
    layout = _layout_context(mail, heading)
    context = {**layout, "kind": EVERY_KIND[mail.kind], **context}
    return RenderedEmail(
        subject=one_line(subject),
        text=render_to_string(f"{template}.txt", context),
        html=_compact(render_to_string(f"{template}.html", context)),
        unsubscribe_url=layout["unsubscribe_url"],
    )


def _layout_context(mail: Mail, heading: str) -> dict[str, str]:
    """The context of the layout: the reader, the account, and how to turn such mails off."""
    person = _may_unsubscribe(mail)
    return {
        "heading": one_line(heading),
        "reader_name": _greeted(mail),
        "account_name": quoted_name(mail.account.name) if mail.account else "",
        "service_account": quoted_name(mail.user.name) if mail.address else "",
        "settings_url": _settings_url(person) if person and not mail.address else "",
        "unsubscribe_url": _unsubscribe_url(mail, person) if person else "",
        "base_url": settings.BASE_URL,
    }


def _greeted(mail: Mail) -> str:
    """The reader's name, if it can only be one; else the address that the mail goes to, which is
    also how a contact of a service account is greeted: others may have written the name."""
    name = mail.user.name
    return name if not mail.address and _is_plain(name) else mail.goes_to


def _is_plain(name: str) -> bool:
    """True for a few words of letters, which are no sentence and no address."""
    letters = name.replace(" ", "")
    return (
        1 <= len(name.split()) <= MOST_WORDS
        and len(name) <= LONGEST_NAME
        and all(each in IN_NAMES or unicodedata.category(each)[0] in "LMN" for each in letters)
        and not has_link(name)
    )


def _unsubscribe_url(mail: Mail, person: Person) -> str:
    return unsubscribe.link(person, EVERY_KIND[mail.kind], email=mail.goes_to)


def _settings_url(person: Person) -> str:
    """The settings page; the contact of a service account that is only an address has none."""
    return settings.BASE_URL + unsubscribe.settings_path(person)


def reader_of(mail: Mail) -> Person:
    """The reader of a mail about an account."""
    assert mail.account_id is not None
    return Person(mail.user_id, mail.account_id)


def _may_unsubscribe(mail: Mail) -> Person | None:
    """The reader, if they may turn off mails like this one."""
    if mail.account_id is None or not EVERY_KIND[mail.kind].is_optional:
        return None
    return reader_of(mail)


def _compact(page: str) -> str:
    """HTML without its indentation, with a line for a row of a table, a paragraph or the like.

    Mail programs cut off what is longer than 100 kB: laid out as its templates are, a digest of 40
    tokens would come near that.
    """
    return STARTS_LINE.sub("\n", INDENTATION.sub(" ", page))


class Fact(NamedTuple):
    """A label and its value; `aside` says the value once more in another way."""

    label: str
    value: str
    aside: str = ""


def moment(at: datetime, label: str, *, zone: str) -> Fact:
    """A moment in the reader's time zone, and the exact instant in UTC."""
    return Fact(label, in_zone(at, zone), f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC")


def in_zone(at: datetime, zone: str) -> str:
    """A moment by the clock of a time zone, in the active language."""
    local = at.astimezone(zone_of(zone))
    day = date_format(local, pgettext("date format", "j M Y"))
    return f"{day}, {local:%H:%M} {zone}"


def one_line(text: str, longest: int = LONGEST_LINE) -> str:
    """Text for a header, or for a place among other texts: one line of a bearable length, without
    characters that start another line or turn the direction of what follows."""
    line = " ".join(UNSAFE_IN_LINE.sub(" ", text).split())
    return Truncator(line).chars(longest) if len(line) > longest else line


def one_name(name: str, longest: int = LONGEST_NAME) -> str:
    """A name within our words, which must stay in sight: others have written it, and it may be
    anything. It leads nowhere, and does not end the quotes that it stands in."""
    return QUOTES.sub("'", defuse_links(one_line(name, longest)))


def one_person(user: Any) -> str:
    """A person as the value of a label: their name, or their address, which is known to be theirs.
    Within a sentence they are a `quoted_person`."""
    return one_name(user.name) if user.name else str(user.email)


def quoted_name(name: str, longest: int = LONGEST_NAME) -> str:
    """A name as the words of others, in quotes, also if it is a sentence."""
    return _("“%(name)s”") % {"name": one_name(name, longest)}


def quoted_person(user: Any) -> str:
    """A person within our words, and at the beginning of a subject: their name in quotes, so that
    a sentence for a name does not read as ours; or their address."""
    return quoted_name(user.name) if user.name else str(user.email)


class Message(EmailMultiAlternatives):
    """A mail whose long headers stay on one line: not every mail program takes a List-Unsubscribe
    whose address begins on a line of its own."""

    def message(self) -> Any:
        message = super().message()
        message.policy = UNFOLDED
        return message


def build_message(mail: Mail, rendered: RenderedEmail) -> Message:
    """The mail with its headers. Its Message-ID comes from the row, so that a repeat can be
    recognised; if it is optional, it can be unsubscribed from with one click (RFC 8058)."""
    message = Message(
        subject=rendered.subject,
        body=rendered.text,
        to=[mail.goes_to],
        headers={
            "Message-ID": message_id(mail),
            "Auto-Submitted": "auto-generated",
            **_one_click(rendered),
        },
    )
    message.attach_alternative(rendered.html, "text/html")
    return message


def _one_click(rendered: RenderedEmail) -> dict[str, str]:
    if not rendered.unsubscribe_url:
        return {}
    return {
        "List-Unsubscribe": f"<{rendered.unsubscribe_url}>",
        "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
    }


def message_id(mail: Mail) -> str:
    host = urlsplit(settings.BASE_URL).hostname or "localhost"
    return f"<{mail.pk.hex}@{host}>"
