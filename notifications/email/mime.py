"""A mail as the bytes that go over the wire."""

import re
from collections.abc import Mapping
from email.generator import BytesGenerator
from email.policy import Compat32
from email.utils import formatdate
from functools import cached_property
from io import BytesIO
from typing import Any
from uuid import uuid4

from django.conf import settings
from django.core.mail import EmailMessage, EmailMultiAlternatives
from django.core.mail.message import forbid_multi_line_headers

LONGEST_ON_WIRE = 998
"""What RFC 5322 allows, of headers and bodies."""
BARE_END = re.compile(rb"\r(?!\n)|(?<!\r)\n")
CHARSET = "utf-8"
WORDS, LONGEST_WORDS = re.compile(r"[!-~]+(?: [!-~]+)*"), 70
"""A header that says this, and no more, is written as it is, whatever the header."""


class _Unfolded(Compat32):
    """Leaves long headers on one line.

    The standard library would put an address that is longer than 78 characters on a line of its own
    below the header's name, which not every mail program takes for a List-Unsubscribe. And it takes
    long to find out that a header fits.
    """

    def fold_binary(self, name: str, value: Any) -> bytes:
        line = f"{name}: {value}"
        if line.isascii() and line.isprintable() and len(line) <= LONGEST_ON_WIRE:
            return f"{line}{self.linesep}".encode()
        return super().fold_binary(name, value)


UNFOLDED = _Unfolded(max_line_length=LONGEST_ON_WIRE, linesep="\r\n")


class TwoPartMail(EmailMultiAlternatives):
    """A mail in plain text and in HTML, whose long headers stay on one line."""

    def __init__(
        self,
        *,
        subject: str,
        text: str,
        html: str,
        to: str,
        message_id: str,
        headers: Mapping[str, str],
    ) -> None:
        super().__init__(subject, text, to=[to], headers={"Message-ID": message_id, **headers})
        self.attach_alternative(html, "text/html")
        self.html = html

    @cached_property
    def in_bytes(self) -> bytes:
        """As it was when first asked for."""
        return _put_together(self) or _generated(self)

    def message(self) -> Any:
        message = super().message()
        message.policy = UNFOLDED
        message.set_boundary(uuid4().hex)  # or both parts are searched for the one that is drawn
        return message


def as_bytes(message: EmailMessage) -> bytes:
    """The mail as Django would write it. Every line ends with CRLF, whatever is in it: to a server
    that takes other ends of lines as well, somebody could tell of another mail."""
    return message.in_bytes if isinstance(message, TwoPartMail) else _generated(message)


def _put_together(mail: TwoPartMail) -> bytes | None:
    """The same bytes without building a tree of parts and looking at each line of them, which is a
    quarter of the time that a mail costs us. None if it takes more than putting it together."""
    text, html = mail.body.encode(), mail.html.encode()
    if not _goes_as_it_is(text) or not _goes_as_it_is(html) or mail.attachments:
        return None
    boundary = uuid4().hex
    headers = {
        "Content-Type": f'multipart/alternative; boundary="{boundary}"',
        "MIME-Version": "1.0",
        "Subject": mail.subject,
        "From": mail.from_email,
        "To": ", ".join(mail.to),
        "Date": formatdate(localtime=settings.EMAIL_USE_LOCALTIME),
        **mail.extra_headers,
    }
    divider = f"\r\n--{boundary}".encode()
    head = b"".join(_header(name, value) for name, value in headers.items())
    parts = _part("plain", text), _part("html", html)
    return divider.join([head, *parts, b"--\r\n"])


def _goes_as_it_is(content: bytes) -> bool:
    is_short = max(map(len, content.split(b"\n"))) <= LONGEST_ON_WIRE
    return is_short and bool(content) and b"\r" not in content


def _part(subtype: str, content: bytes) -> bytes:
    encoding = "7bit" if content.isascii() else "8bit"
    head = (
        f'\r\nContent-Type: text/{subtype}; charset="{CHARSET}"\r\n'
        f"MIME-Version: 1.0\r\nContent-Transfer-Encoding: {encoding}\r\n\r\n"
    )
    return head.encode() + content.replace(b"\n", b"\r\n")


def _header(name: str, value: str) -> bytes:
    if len(value) <= LONGEST_WORDS and WORDS.fullmatch(value):
        return f"{name}: {value}\r\n".encode()
    return UNFOLDED.fold_binary(*forbid_multi_line_headers(name, value, CHARSET))


class _Generator(BytesGenerator):
    """Writes a part at once, where the standard library writes it line by line. The ends
    of lines are mended once, in the whole."""

    def _write_lines(self, lines: str) -> None:
        self.write(lines)


def _generated(message: EmailMessage) -> bytes:
    written = BytesIO()
    _Generator(written, mangle_from_=False).flatten(message.message(), linesep="\r\n")
    return BARE_END.sub(b"\r\n", written.getvalue())
