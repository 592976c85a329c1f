"""Hands mails to a mail server, and knows of each whether it was taken, refused, or is in doubt.

Django's mail backends cannot say at which point of the conversation a fault struck; RFC 1047 is
about exactly that. So this speaks SMTP with the standard library, one connection for many mails.
"""

import contextlib
import smtplib
import ssl
from collections.abc import Callable
from email.utils import parseaddr
from typing import Protocol, Self

from django.conf import settings
from django.core.mail import EmailMessage, get_connection
from django.core.mail.message import sanitize_address

OK, START_INPUT = 250, 354


class NotTaken(Exception):
    """The mail was surely not taken. `is_final` if trying again is no use; `server_down` if the
    others need not be tried on this connection either."""

    def __init__(self, reason: str, *, is_final: bool = False, server_down: bool = False) -> None:
        super().__init__(reason)
        self.is_final, self.server_down = is_final, server_down


class InDoubt(Exception):
    """The connection ended after the mail was on the wire and before the server answered."""


class Door(Protocol):
    """Where mails leave the house. `mark` is called at the last instant at which the mail has
    surely not been taken; if it raises, the mail is not sent."""

    def hand_over(self, message: EmailMessage, mark: Callable[[], None]) -> None: ...

    def __enter__(self) -> Self: ...

    def __exit__(self, *problem: object) -> None: ...


class BackendDoor:
    """Django's other backends: files, memory, console."""

    def __enter__(self) -> Self:
        self._connection = get_connection()
        return self

    def __exit__(self, *problem: object) -> None:
        self._connection.close()

    def hand_over(self, message: EmailMessage, mark: Callable[[], None]) -> None:
        mark()
        try:
            self._connection.send_messages([message])
        except OSError as error:
            raise NotTaken(str(error), server_down=True) from error


class SMTPDoor:
    """One SMTP connection, opened when the first mail needs it and again after a fault."""

    def __init__(self) -> None:
        self._smtp: smtplib.SMTP | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *problem: object) -> None:
        if self._smtp is not None:
            with contextlib.suppress(OSError, smtplib.SMTPException):
                self._smtp.quit()

    def hand_over(self, message: EmailMessage, mark: Callable[[], None]) -> None:
        """Deliver one mail. Raises `NotTaken` or `InDoubt`; otherwise the server has it."""
        smtp = self._open()
        content = message.message().as_bytes(linesep="\r\n")
        try:
            self._expect(OK, *smtp.mail(_address(message.from_email)))
            self._expect(OK, *smtp.rcpt(_address(message.to[0])))
            self._expect(START_INPUT, *smtp.docmd("DATA"))
        except (OSError, smtplib.SMTPServerDisconnected) as error:
            self._drop()
            raise NotTaken(f"The mail server went away: {error}", server_down=True) from error
        except NotTaken:
            self._reset(smtp)
            raise
        try:
            mark()
        except BaseException:
            self._drop()  # the server waits for a body that does not come
            raise
        self._expect_taken(*self._send_body(smtp, content))

    def _open(self) -> smtplib.SMTP:
        if self._smtp is None:
            try:
                self._smtp = _connect()
            except (OSError, smtplib.SMTPException) as error:
                reason = f"No connection to {settings.EMAIL_HOST}:{settings.EMAIL_PORT}: {error}"
                raise NotTaken(reason, server_down=True) from error
        return self._smtp

    def _expect(self, wanted: int, code: int, reply: bytes) -> None:
        if code not in (wanted, 251 if wanted == OK else wanted):
            raise NotTaken(f"{code} {_text(reply)}", is_final=500 <= code < 600)

    def _send_body(self, smtp: smtplib.SMTP, content: bytes) -> tuple[int, bytes]:
        try:
            smtp.send(_as_body(content))
            return smtp.getreply()
        except (OSError, smtplib.SMTPServerDisconnected) as error:
            self._drop()
            raise InDoubt(f"The connection ended before the server answered: {error}") from error

    def _expect_taken(self, code: int, reply: bytes) -> None:
        if code != OK:
            raise NotTaken(f"{code} {_text(reply)}", is_final=500 <= code < 600)

    def _reset(self, smtp: smtplib.SMTP) -> None:
        try:
            smtp.rset()
        except (OSError, smtplib.SMTPException):
            self._drop()

    def _drop(self) -> None:
        if self._smtp is not None:
            self._smtp.close()
            self._smtp = None


def door() -> Door:
    """The door that the settings ask for."""
    is_smtp = settings.EMAIL_BACKEND == "django.core.mail.backends.smtp.EmailBackend"
    return SMTPDoor() if is_smtp else BackendDoor()


def _connect() -> smtplib.SMTP:
    where, timeout = (settings.EMAIL_HOST, settings.EMAIL_PORT), settings.EMAIL_TIMEOUT
    context = ssl.create_default_context()
    smtp = (
        smtplib.SMTP_SSL(*where, timeout=timeout, context=context)
        if settings.EMAIL_USE_SSL
        else smtplib.SMTP(*where, timeout=timeout)
    )
    smtp.ehlo()
    if settings.EMAIL_USE_TLS:
        smtp.starttls(context=context)
        smtp.ehlo()
    if settings.EMAIL_HOST_USER:
        smtp.login(settings.EMAIL_HOST_USER, settings.EMAIL_HOST_PASSWORD)
    return smtp


def _address(written: str) -> str:
    """The bare address as the wire has it: international domains in ASCII."""
    return parseaddr(sanitize_address(written, "utf-8"))[1]


def _as_body(content: bytes) -> bytes:
    """With CRLF line ends, leading dots doubled, and the dot that ends it (RFC 5321, 4.5.2)."""
    lines = b"\r\n".join(content.splitlines())
    stuffed = lines.replace(b"\r\n.", b"\r\n..")
    if stuffed.startswith(b"."):
        stuffed = b"." + stuffed
    return stuffed + b"\r\n.\r\n"


def _text(reply: bytes) -> str:
    return reply.decode("utf-8", "replace")
