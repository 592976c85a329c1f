"""Hands one mail after the other to the mail server, and knows what became of each.

Django's own backend answers a lost connection with an exception, whether it was lost before the
body was on the wire or after. Sending never twice needs to know which, so this speaks the dialogue
of RFC 5321 step by step, with the standard library, one connection for many mails.
"""

import contextlib
import re
import smtplib
import ssl
from collections.abc import Callable, Iterator, Sequence
from email.utils import parseaddr
from functools import lru_cache
from typing import NamedTuple, Protocol, Self

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.mail import EmailMessage, get_connection
from django.core.mail.message import sanitize_address
from django.core.mail.utils import DNS_NAME

START_INPUT = 354
CLOSING = 421
ENHANCED = re.compile(rb"5\.(\d{1,3}\.\d{1,3})\b")
OF_SENDERS = {b"1.7", b"1.8"}
NO_SUCH_RECIPIENT = {550, 551, 553}
USUAL_ADDRESS = re.compile(
    r"[a-z0-9_+-]+(\.[a-z0-9_+-]+)*@[a-z0-9-]{1,63}(\.[a-z0-9-]{1,63})+", re.ASCII | re.IGNORECASE
)
"""What goes over the wire as it is written."""
PATIENCE = 6
"""How many times EMAIL_TIMEOUT the server may think about a mail that it has whole. A client that
leaves early makes doubles (RFC 1047): the server may be about to say yes."""


Reply = tuple[int, bytes]


class DeliveryFailed(Exception):
    """The mail was surely not taken. `is_final` if trying again is no use; `server_down` if the
    others need not be tried now either."""

    def __init__(self, reason: str, *, is_final: bool = False, server_down: bool = False) -> None:
        super().__init__(reason)
        self.is_final, self.server_down = is_final, server_down


class DeliveryUnknown(Exception):
    """The mail was on the wire, and no answer came that says whether the server has it."""


class MailTransport(Protocol):
    """Where mails leave the house. `mark` is called at the last instant at which the mail has
    surely not been taken; if it raises, the mail is not sent."""

    def hand_over(self, message: EmailMessage, mark: Callable[[], None]) -> None:
        """Deliver one mail. Raises `DeliveryFailed` or `DeliveryUnknown`; otherwise it is taken."""

    def __enter__(self) -> Self: ...

    def __exit__(self, *problem: object) -> None: ...


class BackendTransport:
    """Django's other backends: files (one for each mail), memory, console."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *problem: object) -> None:
        pass

    def hand_over(self, message: EmailMessage, mark: Callable[[], None]) -> None:
        _Wire.of(message)  # what SMTP refuses is refused here too
        mark()
        try:
            get_connection().send_messages([message])
        except (OSError, ImproperlyConfigured) as error:  # the second: a folder that cannot be
            raise DeliveryFailed(
                f"The mail could not be written: {error}", server_down=True
            ) from error


class SMTPTransport:
    """One SMTP connection, opened when the first mail needs it and again after a fault."""

    def __init__(self) -> None:
        self._smtp: smtplib.SMTP | None = None
        self._is_fresh = True
        self._has_taken = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *problem: object) -> None:
        if self._smtp is not None:
            with contextlib.suppress(OSError):
                self._smtp.quit()
            self._drop()

    def hand_over(self, message: EmailMessage, mark: Callable[[], None]) -> None:
        wire = _Wire.of(message)
        smtp = self._announce(wire)
        try:
            mark()
        except BaseException:
            self._drop()  # the server waits for a body that does not come
            raise
        code, reply = self._send_body(smtp, wire)
        if not 200 <= code < 300:
            raise self._refused(code, reply)
        self._has_taken = True

    def _announce(self, wire: "_Wire") -> smtplib.SMTP:
        """Say from whom and to whom, up to the point where the server awaits the body. Some servers
        end a connection after a number of mails: then the mail gets a new one."""
        try:
            return self._try_to_announce(wire)
        except DeliveryFailed as refusal:
            if self._is_fresh or not refusal.server_down:
                raise
        self._drop()
        return self._try_to_announce(wire)

    def _try_to_announce(self, wire: "_Wire") -> smtplib.SMTP:
        smtp = self._open()
        mail, rcpt = f"MAIL FROM:<{wire.sender}>{_options(smtp)}", f"RCPT TO:<{wire.recipient}>"
        try:
            replies = self._replies(smtp, [mail, rcpt, "DATA"])
            self._expect_sender(*next(replies))
            self._expect(250, *next(replies))
            self._expect(START_INPUT, *next(replies))
        except OSError as error:  # as are all exceptions of smtplib
            self._drop()
            reason = f"The mail server went away: {_words(error)}"
            raise DeliveryFailed(reason, server_down=True) from error
        self._is_fresh = False
        return smtp

    def _replies(self, smtp: smtplib.SMTP, commands: Sequence[str]) -> Iterator[Reply]:
        """What the server answers to each command, which is given when its answer is asked for; to
        a server that takes them together (RFC 2920) all are given at once, which saves two of the
        journeys that a mail takes."""
        if not smtp.has_extn("pipelining"):
            yield from map(smtp.docmd, commands)
            return
        smtp.send("".join(f"{command}\r\n" for command in commands))
        replies: list[Reply] = []
        for _command in commands:
            try:
                replies.append(smtp.getreply())
            except OSError:
                if not any(map(_refuses, replies)):
                    raise
                break  # it has said why it went away
        if replies[-1][0] == START_INPUT and any(map(_refuses, replies)):
            self._drop()  # it waits for a body that nobody should get
        yield from replies

    def _open(self) -> smtplib.SMTP:
        if self._smtp is None:
            try:
                self._smtp, self._is_fresh = _connect(), True
            except (OSError, ValueError) as error:  # the second: a host or password that cannot be
                where = f"{settings.EMAIL_HOST}:{settings.EMAIL_PORT}"
                reason = f"No connection to {where}: {_words(error)}"
                raise DeliveryFailed(reason, server_down=True) from error
        return self._smtp

    def _expect_sender(self, code: int, reply: bytes) -> None:
        """A refusal at this point is about us or the server, never about the recipient: it waits
        for the operator, and the other mails with it."""
        if code != 250:
            self._drop()
            raise DeliveryFailed(f"{code} {_text(reply)}", server_down=True)

    def _expect(self, wanted: int, code: int, reply: bytes) -> None:
        if code != wanted and not (wanted == 250 and code == 251):
            raise self._refused(code, reply)

    def _refused(self, code: int, reply: bytes) -> DeliveryFailed:
        """What the server said, with the connection ready for the next mail.

        Many servers keep until RCPT what they have against us ("Relay access denied"), and nobody
        can tell it by the code from what they have against one mail. So a server that has taken
        nothing from us in this run, and refuses for good, is asked no more in this run.
        """
        reason = f"{code} {_text(reply)}"
        if code == CLOSING or not 400 <= code < 600:
            self._drop()
            return DeliveryFailed(reason, server_down=True)
        self._reset()
        is_final = is_about_recipient(code, reply)
        may_be_us = code >= 500 and not is_final and not self._has_taken
        return DeliveryFailed(reason, is_final=is_final, server_down=may_be_us)

    def _send_body(self, smtp: smtplib.SMTP, wire: "_Wire") -> tuple[int, bytes]:
        """The server's verdict, which is to take the mail or to refuse it. Anything else leaves
        doubt."""
        try:
            smtp.send(wire.body)
            _set_timeout(smtp, PATIENCE * settings.EMAIL_TIMEOUT)
            code, reply = smtp.getreply()
            _set_timeout(smtp, settings.EMAIL_TIMEOUT)
        except OSError as error:
            self._drop()
            reason = f"The connection ended before the server answered: {_words(error)}"
            raise DeliveryUnknown(reason) from error
        if not (200 <= code < 300 or 400 <= code < 600):
            self._drop()
            raise DeliveryUnknown(
                f"The server's answer cannot be understood: {code} {_text(reply)}"
            )
        return code, reply

    def _reset(self) -> None:
        with contextlib.suppress(OSError):
            if self._smtp is not None and self._smtp.rset()[0] == 250:
                return
        self._drop()

    def _drop(self) -> None:
        if self._smtp is not None:
            self._smtp.close()
            self._smtp = None


def is_about_recipient(code: int, reply: bytes) -> bool:
    """True if the server refuses for good because of the recipient's address or mailbox, by its
    enhanced code (RFC 3463) if it says one. All else may be mended: by us, or by them."""
    if code < 500:
        return False
    if enhanced := ENHANCED.match(reply):
        return enhanced[1] not in OF_SENDERS and enhanced[1].split(b".")[0] in (b"1", b"2")
    return code in NO_SUCH_RECIPIENT


def open_transport() -> MailTransport:
    """The door that the settings ask for."""
    is_smtp = settings.EMAIL_BACKEND == "django.core.mail.backends.smtp.EmailBackend"
    return SMTPTransport() if is_smtp else BackendTransport()


class _Wire(NamedTuple):
    """A mail as it goes over the wire."""

    sender: str
    recipient: str
    body: bytes

    @classmethod
    def of(cls, message: EmailMessage) -> "_Wire":
        """Raises `DeliveryFailed` for what cannot go there, whatever goes wrong: one odd mail must
        not end the run, which would begin with it again and again."""
        sender = _sender(message)
        try:
            content = message.message().as_bytes(linesep="\r\n")
            return cls(sender, _address(message.to[0]), _as_body(content))
        except Exception as error:
            reason = f"The mail cannot be sent: {_words(error)}"
            raise DeliveryFailed(reason, is_final=True) from error


def _connect() -> smtplib.SMTP:
    where = (settings.EMAIL_HOST, settings.EMAIL_PORT, DNS_NAME.get_fqdn())
    timeout = settings.EMAIL_TIMEOUT
    smtp = (
        smtplib.SMTP_SSL(*where, timeout=timeout, context=ssl.create_default_context())
        if settings.EMAIL_USE_SSL
        else smtplib.SMTP(*where, timeout=timeout)
    )
    try:
        smtp.ehlo_or_helo_if_needed()
        if settings.EMAIL_USE_TLS:
            smtp.starttls(context=ssl.create_default_context())
            smtp.ehlo_or_helo_if_needed()
        if settings.EMAIL_HOST_USER:
            _login(smtp)
    except BaseException:
        smtp.close()
        raise
    return smtp


def _login(smtp: smtplib.SMTP) -> None:
    try:
        smtp.login(settings.EMAIL_HOST_USER, settings.EMAIL_HOST_PASSWORD)
    except UnicodeEncodeError:  # whose own words tell a part of the password
        raise ValueError("User and password can have ASCII characters only.") from None


def _refuses(reply: Reply) -> bool:
    return reply[0] >= 400


def _options(smtp: smtplib.SMTP) -> str:
    return " BODY=8BITMIME" if smtp.has_extn("8bitmime") else ""


def _set_timeout(smtp: smtplib.SMTP, seconds: float) -> None:
    if smtp.sock is not None:
        smtp.sock.settimeout(seconds)


def _sender(message: EmailMessage) -> str:
    try:
        return _own_address(message.from_email)
    except ValueError as error:  # every mail has it, and none should be given up for it
        raise DeliveryFailed(f"FROM_EMAIL cannot be used: {error}", server_down=True) from error


@lru_cache(maxsize=1)
def _own_address(written: str) -> str:
    return _address(written)


def _address(written: str) -> str:
    """The bare address as the wire has it: international domains in ASCII. Raises `ValueError` for
    what is none; the standard library has other exceptions for some ("a@[")."""
    if USUAL_ADDRESS.fullmatch(written):
        return written
    try:
        address = parseaddr(sanitize_address(written, "utf-8"))[1]
    except Exception:
        address = ""
    is_bare = smtplib.quoteaddr(address) == f"<{address}>"  # nothing in it ends its brackets
    if not is_bare or not address.isascii() or not address.isprintable() or "@" not in address:
        raise ValueError(f"No mail can be sent to or from {written!r}.")
    return address


def _as_body(content: bytes) -> bytes:
    """Lines that end with CRLF, with leading dots doubled, and the dot that ends it (RFC 5321,
    4.5.2)."""
    stuffed = content.removesuffix(b"\r\n").replace(b"\r\n.", b"\r\n..")
    if stuffed.startswith(b"."):
        stuffed = b"." + stuffed
    return stuffed + b"\r\n.\r\n"


def _words(error: Exception) -> str:
    """What happened, in words; of a refusal, the server's own."""
    if isinstance(error, smtplib.SMTPResponseException):
        reply = error.smtp_error
        return f"{error.smtp_code} {_text(reply) if isinstance(reply, bytes) else reply}"
    return str(error) or type(error).__name__


def _text(reply: bytes) -> str:
    return " ".join(reply.decode("utf-8", "replace").split())
