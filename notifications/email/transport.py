"""Sends single mails to the mail server, and knows what became of each.

Django's own backend answers a lost connection with an exception, whether it was lost before the
body was on the wire or after. Sending never twice needs to know which, so this drives smtplib step
by step, over one connection for many mails.
"""

import contextlib
import smtplib
from collections.abc import Callable
from email.utils import parseaddr
from typing import NamedTuple, Protocol, Self

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.mail import EmailMessage, get_connection
from django.core.mail.backends.smtp import EmailBackend
from django.core.mail.message import sanitize_address

from notifications.email.verdicts import Stage, Verdict, enhanced_code_of, verdict_on

SMTP = "django.core.mail.backends.smtp.EmailBackend"
PATIENCE = 6
"""How many times EMAIL_TIMEOUT the server may think about a mail that it has whole. A client that
leaves early makes doubles (RFC 1047): the server may be about to say yes."""

Reply = tuple[int, bytes]


class DeliveryFailed(Exception):
    """The mail was surely not taken; the verdict says whether to try it, and others, again."""

    def __init__(self, reason: str, verdict: Verdict) -> None:
        super().__init__(reason)
        self.verdict = verdict


class DeliveryUnknown(Exception):
    """The mail was on the wire, and no answer came that says whether the server has it."""


class MailTransport(Protocol):
    """The way mails leave the portal."""

    def send(self, message: EmailMessage, mark: Callable[[], None]) -> None:
        """Send one mail. Raises `DeliveryFailed` or `DeliveryUnknown`; otherwise it is taken.

        `mark` is called at the last instant at which the mail has surely not been taken; if it
        raises, the mail is not sent.
        """

    def __enter__(self) -> Self: ...

    def __exit__(self, *problem: object) -> None: ...


def open_transport() -> MailTransport:
    """The transport that the settings ask for."""
    return SMTPTransport() if settings.EMAIL_BACKEND == SMTP else BackendTransport()


class BackendTransport:
    """Django's other backends: files (one for each mail), memory, console."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *problem: object) -> None:
        pass

    def send(self, message: EmailMessage, mark: Callable[[], None]) -> None:
        _Envelope.of(message)  # what SMTP refuses is refused here too
        mark()
        try:
            get_connection().send_messages([message])
        except (OSError, ImproperlyConfigured) as error:  # the second: a folder that cannot be
            reason = f"The email couldn't be written: {error}"
            raise DeliveryFailed(reason, Verdict.SERVER_DOWN) from error


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

    def send(self, message: EmailMessage, mark: Callable[[], None]) -> None:
        envelope = _Envelope.of(message)
        smtp = self._announce(envelope)
        try:
            mark()
        except BaseException:
            self._drop()  # the server waits for a body that does not come
            raise
        self._check(Stage.BODY, self._send_body(smtp, envelope.body))
        self._has_taken = True

    def _announce(self, envelope: "_Envelope") -> smtplib.SMTP:
        """Name sender and recipient, up to the point where the server awaits the body. Some servers
        end a connection after a number of mails: then the mail gets a new one."""
        try:
            return self._try_to_announce(envelope)
        except DeliveryFailed as failure:
            if self._is_fresh or failure.verdict is not Verdict.SERVER_DOWN:
                raise
        self._drop()
        return self._try_to_announce(envelope)

    def _try_to_announce(self, envelope: "_Envelope") -> smtplib.SMTP:
        smtp = self._open()
        options = ["BODY=8BITMIME"] if smtp.has_extn("8bitmime") else []
        try:
            self._check(Stage.SENDER, smtp.mail(envelope.sender, options))
            self._check(Stage.RECIPIENT, smtp.rcpt(envelope.recipient))
            self._check(Stage.DATA, smtp.docmd("DATA"))
        except OSError as error:  # as are all exceptions of smtplib
            self._drop()
            reason = f"The mail server closed the connection: {_words(error)}"
            raise DeliveryFailed(reason, Verdict.SERVER_DOWN) from error
        self._is_fresh = False
        return smtp

    def _open(self) -> smtplib.SMTP:
        if self._smtp is None:
            try:
                self._smtp, self._is_fresh = _connect(), True
            except (OSError, ValueError) as error:  # the second: a host or password that cannot be
                where = f"{settings.EMAIL_HOST}:{settings.EMAIL_PORT}"
                reason = f"No connection to {where}: {_words(error)}"
                raise DeliveryFailed(reason, Verdict.SERVER_DOWN) from error
        return self._smtp

    def _send_body(self, smtp: smtplib.SMTP, body: bytes) -> Reply:
        try:
            smtp.send(body)
            _set_timeout(smtp, PATIENCE * settings.EMAIL_TIMEOUT)
            reply = smtp.getreply()
            _set_timeout(smtp, settings.EMAIL_TIMEOUT)
        except OSError as error:
            self._drop()
            reason = f"The connection ended before the server answered: {_words(error)}"
            raise DeliveryUnknown(reason) from error
        return reply

    def _check(self, stage: Stage, reply: Reply) -> None:
        """Raise what the reply means, with the connection ready for the next mail."""
        code, text = reply
        verdict = verdict_on(stage, code, enhanced_code_of(text), has_taken=self._has_taken)
        reason = f"{code} {_text(text)}"
        match verdict:
            case Verdict.ACCEPTED:
                return
            case Verdict.RETRY_LATER | Verdict.REJECTED:
                self._reset()
            case Verdict.SERVER_DOWN:
                self._drop()
            case Verdict.UNKNOWN:
                self._drop()
                raise DeliveryUnknown(f"The server's answer cannot be understood: {reason}")
        raise DeliveryFailed(reason, verdict)

    def _reset(self) -> None:
        with contextlib.suppress(OSError):
            if self._smtp is not None and self._smtp.rset()[0] == 250:
                return
        self._drop()

    def _drop(self) -> None:
        if self._smtp is not None:
            self._smtp.close()
            self._smtp = None


class _Envelope(NamedTuple):
    """A mail as it goes over the wire."""

    sender: str
    recipient: str
    body: bytes

    @classmethod
    def of(cls, message: EmailMessage) -> "_Envelope":
        """Raises `DeliveryFailed` for what cannot go there, whatever goes wrong: one odd mail must
        not end the run, which would begin with it again and again."""
        sender = _sender(message)
        try:
            recipient = _address(message.to[0])
            content = message.message().as_bytes(linesep="\r\n")
        except Exception as error:
            reason = f"The email can't be sent: {_words(error)}"
            raise DeliveryFailed(reason, Verdict.REJECTED) from error
        return cls(sender, recipient, _as_body(content))


class _Backend(EmailBackend):
    """Django's, which tells the mail server the portal's name and not the machine's: that is often
    `localhost`, which servers refuse."""

    @property
    def connection_class(self) -> Callable[..., smtplib.SMTP]:
        connect = super().connection_class  # type: ignore[misc]  # not in the stubs
        name = settings.EMAIL_EHLO_NAME
        own = {"local_hostname": name} if name else {}
        return lambda *host, **facts: connect(*host, **{**facts, **own})


def _connect() -> smtplib.SMTP:
    """A connection as Django makes it: encrypted and logged in as the settings say."""
    backend = _Backend()
    try:
        backend.open()
        assert backend.connection is not None
        backend.connection.ehlo_or_helo_if_needed()
    except BaseException as error:
        # Django sets `connection` only when all is done; a refused STARTTLS or login leaves it
        # under a private name. `backend.close()` ends it too, but says QUIT and awaits an answer.
        begun = backend._partial_connection  # type: ignore[attr-defined]  # not in the stubs
        if (unusable := backend.connection or begun) is not None:
            unusable.close()
        if isinstance(error, UnicodeEncodeError):  # whose own words tell a part of the password
            raise ValueError("User and password can have ASCII characters only.") from None
        raise
    return backend.connection


def _set_timeout(smtp: smtplib.SMTP, seconds: float) -> None:
    if smtp.sock is not None:
        smtp.sock.settimeout(seconds)


def _sender(message: EmailMessage) -> str:
    try:
        return _address(message.from_email)
    except ValueError as error:  # every mail has it, and none should be given up for it
        reason = f"FROM_EMAIL can't be used: {error}"
        raise DeliveryFailed(reason, Verdict.SERVER_DOWN) from error


def _address(written: str) -> str:
    """The bare address as the wire has it: international domains in ASCII. Raises `ValueError` for
    what is none; the standard library has other exceptions for some ("a@[")."""
    try:
        address = parseaddr(sanitize_address(written, "utf-8"))[1]
    except Exception:
        address = ""
    is_bare = smtplib.quoteaddr(address) == f"<{address}>"  # nothing in it ends its brackets
    if not is_bare or not address.isascii() or not address.isprintable() or "@" not in address:
        raise ValueError(f"No email can be sent to or from {written!r}.")
    return address


def _as_body(content: bytes) -> bytes:
    """The content with leading dots doubled, and the dot that ends it (RFC 5321, 4.5.2)."""
    stuffed = content.removesuffix(b"\r\n").replace(b"\n.", b"\n..")
    first = b"." if stuffed.startswith(b".") else b""
    return first + stuffed + b"\r\n.\r\n"


def _words(error: Exception) -> str:
    """What happened, in words; of a refusal, the server's own."""
    if isinstance(error, smtplib.SMTPResponseException):
        reply = error.smtp_error
        return f"{error.smtp_code} {_text(reply) if isinstance(reply, bytes) else reply}"
    return str(error) or type(error).__name__


def _text(reply: bytes) -> str:
    return " ".join(reply.decode("utf-8", "replace").split())
