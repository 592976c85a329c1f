"""The mail server's every answer means: taken, surely not taken, or in doubt."""

import socket
import subprocess
import threading
from collections.abc import Callable
from dataclasses import replace
from email.utils import parseaddr
from pathlib import Path
from ssl import PROTOCOL_TLS_SERVER, SSLContext
from typing import Self

import pytest
from django.core.mail import EmailMessage
from django.core.mail.message import sanitize_address
from hypothesis import given
from hypothesis import strategies as st
from pytest_django import Settings

from notifications.email import transport
from notifications.email.transport import (
    PATIENCE,
    USUAL_ADDRESS,
    DeliveryFailed,
    DeliveryUnknown,
    SMTPTransport,
    open_transport,
)
from tests.mailserver import DROP, HANG, TAKE_AND_DROP, TAKE_AND_HANG, MailServer, Mood, mail_server
from tests.notifications.conftest import TIMEOUT, send_to


def letter(**facts: object) -> EmailMessage:
    return EmailMessage(
        **{  # type: ignore[arg-type]  # any argument of the message can be given
            "subject": "Hello",
            "body": "A body.",
            "from_email": "Portal <portal@example.com>",
            "to": ["ada@example.com"],
            **facts,
        }
    )


def in_mood(step: str, how: str) -> Mood:
    """A server that answers so at this step."""
    return replace(Mood(), **{step: how})  # type: ignore[arg-type]  # steps are words


class Marks:
    """Counts how often a mail reached the last instant before the hand-over."""

    def __init__(self) -> None:
        self.number = 0

    def __call__(self) -> None:
        self.number += 1


@pytest.fixture
def mark() -> Marks:
    return Marks()


@pytest.fixture(params=[True, False], ids=["at once", "step by step"])
def server(server: MailServer, request: pytest.FixtureRequest) -> MailServer:
    """A server that takes commands together, and one that does not."""
    server.keeper.pipelines = request.param
    return server


class Script:
    """A server that answers to the envelope, once it has all of it, as it is told, and keeps what
    comes after it."""

    def __init__(self, *answers: bytes, closes: bool = False) -> None:
        self.answers, self.closes, self.rest = answers, closes, b""
        self.listening = socket.create_server(("127.0.0.1", 0))
        self.listening.settimeout(TIMEOUT)
        self.port: int = self.listening.getsockname()[1]
        self.thread = threading.Thread(target=self._run)

    def __enter__(self) -> Self:
        self.thread.start()
        return self

    def __exit__(self, *problem: object) -> None:
        self.thread.join()
        self.listening.close()

    def _run(self) -> None:
        connection, _peer = self.listening.accept()
        connection.settimeout(5 * TIMEOUT)
        with connection, connection.makefile("rb") as lines:
            connection.sendall(b"220 mail.example\r\n")
            lines.readline()
            connection.sendall(b"250-mail.example\r\n250 PIPELINING\r\n")
            while lines.readline() not in (b"DATA\r\n", b""):
                pass
            connection.sendall(b"".join(answer + b"\r\n" for answer in self.answers))
            if not self.closes:
                self.rest = lines.read()


def refusal(message: EmailMessage, mark: Callable[[], None]) -> DeliveryFailed:
    """Why the mail was surely not taken."""
    with SMTPTransport() as open_door, pytest.raises(DeliveryFailed) as caught:
        open_door.hand_over(message, mark)
    return caught.value


# --- Taken ---


def test_mail_arrives_with_its_words(server: MailServer, mark: Marks) -> None:
    body = "Grüße\n.\n..dots\nüber 中文\n.end"
    with SMTPTransport() as open_door:
        open_door.hand_over(letter(subject="Läuft ab", body=body), mark)
    (taken,) = server.keeper.taken
    assert (taken.sender, taken.recipient) == ("portal@example.com", "ada@example.com")
    assert taken.message["Subject"] == "Läuft ab"
    assert taken.message.get_content().replace("\r\n", "\n").rstrip("\n") == body
    assert mark.number == 1


def test_body_that_begins_with_a_dot_is_whole(server: MailServer, mark: Marks) -> None:
    message = letter(body=".\n.\nend")
    with SMTPTransport() as open_door:
        open_door.hand_over(message, mark)
    assert server.keeper.taken[0].content.endswith(b"\r\n.\r\n.\r\nend\r\n")


def test_line_of_ten_thousand_characters_arrives(server: MailServer, mark: Marks) -> None:
    with SMTPTransport() as open_door:
        open_door.hand_over(letter(body="ä" * 10_000), mark)
    assert server.keeper.taken[0].message.get_content().strip() == "ä" * 10_000


def test_international_domains_go_in_ascii(server: MailServer, mark: Marks) -> None:
    with SMTPTransport() as open_door:
        open_door.hand_over(letter(to=["ada@bücher.example"]), mark)
    assert server.recipients == ["ada@xn--bcher-kva.example"]


def test_one_connection_carries_many_mails(server: MailServer, mark: Marks) -> None:
    with SMTPTransport() as open_door:
        for number in range(20):
            open_door.hand_over(letter(to=[f"person{number}@example.com"]), mark)
    assert len(server.keeper.taken) == 20
    assert server.keeper.connections == 1


def test_no_connection_is_opened_for_nothing(server: MailServer) -> None:
    with SMTPTransport():
        pass
    assert server.keeper.connections == 0


def test_server_that_limits_mails_in_a_connection_gets_another(
    server: MailServer, mark: Marks
) -> None:
    server.keeper.most_mails_in_connection = 3
    with SMTPTransport() as open_door:
        for _number in range(7):
            open_door.hand_over(letter(), mark)
    assert len(server.keeper.taken) == 7
    assert server.keeper.connections == 3


@given(st.from_regex(USUAL_ADDRESS, fullmatch=True))
def test_usual_address_is_what_the_library_makes_of_it(address: str) -> None:
    assert parseaddr(sanitize_address(address, "utf-8")) == ("", address)


# --- Surely not taken ---


@pytest.mark.parametrize(
    ("answers", "is_final", "reason"),
    [
        ([b"250 OK", b"550 5.1.1 Unknown", b"354 Go on"], True, "550 5.1.1 Unknown"),
        ([b"550 5.7.1 Not you", b"250 OK", b"354 Go on"], False, "550 5.7.1 Not you"),
        ([b"250 OK", b"451 Later", b"354 Go on"], False, "451 Later"),
    ],
)
def test_body_is_kept_from_a_server_that_refused_and_awaits_it(
    settings: Settings, mark: Marks, answers: list[bytes], is_final: bool, reason: str
) -> None:
    with Script(*answers) as script:
        send_to(script, settings)
        told = refusal(letter(), mark)
    assert (told.is_final, str(told), mark.number, script.rest) == (is_final, reason, 0, b"")


@pytest.mark.parametrize(
    ("answers", "reason"),
    [
        ([b"421 Closing"], "421 Closing"),
        ([b"250 OK", b"421 Closing"], "421 Closing"),
        ([b"250 OK", b"250 OK"], "The mail server went away: "),
        ([], "The mail server went away: "),
    ],
)
def test_server_that_closes_among_its_answers_took_nothing(
    settings: Settings, mark: Marks, answers: list[bytes], reason: str
) -> None:
    with Script(*answers, closes=True) as script:
        send_to(script, settings)
        told = refusal(letter(), mark)
    assert (told.is_final, told.server_down, mark.number) == (False, True, 0)
    assert str(told).startswith(reason)


def test_refused_connection_takes_nothing(server: MailServer, mark: Marks) -> None:
    server.close()
    told = refusal(letter(), mark)
    assert (told.is_final, told.server_down, mark.number) == (False, True, 0)
    assert str(told).startswith(f"No connection to localhost:{server.port}: ")


@pytest.mark.parametrize("how", [HANG, DROP, "421 Closing"])
@pytest.mark.parametrize("step", ["greeting", "mail", "rcpt", "data"])
def test_server_that_fails_before_the_body_took_nothing(
    server: MailServer, mark: Marks, step: str, how: str
) -> None:
    server.keeper.mood = in_mood(step, how)
    told = refusal(letter(), mark)
    assert (told.is_final, told.server_down, mark.number) == (False, True, 0)


@pytest.mark.parametrize("step", ["rcpt", "body"])
@pytest.mark.parametrize(
    "reply", ["550 No such user", "551 Moved", "550 5.1.1 Unknown", "554 5.2.1 Disabled"]
)
def test_refusal_of_the_recipient_is_final(
    server: MailServer, mark: Marks, step: str, reply: str
) -> None:
    server.keeper.mood = in_mood(step, reply)
    told = refusal(letter(), mark)
    assert (told.is_final, told.server_down) == (True, False)
    assert reply in str(told)


@pytest.mark.parametrize("step", ["greeting", "mail", "rcpt", "data", "body"])
@pytest.mark.parametrize(
    "reply",
    [
        "554 5.7.1 <ada@example.com>: Relay access denied",
        "550 5.7.1 Client host rejected",
        "550 5.1.8 Sender address rejected: Domain not found",
        "530 Authentication required",
        "554 No, thank you",
    ],
)
def test_refusal_that_may_be_about_us_ends_the_run_and_nothing_is_given_up(
    server: MailServer, mark: Marks, step: str, reply: str
) -> None:
    server.keeper.mood = in_mood(step, reply)
    told = refusal(letter(), mark)
    assert (told.is_final, told.server_down) == (False, True)
    assert reply in str(told)


@pytest.mark.parametrize("step", ["rcpt", "body"])
def test_server_that_took_others_refuses_only_this_mail(
    server: MailServer, mark: Marks, step: str
) -> None:
    server.keeper.moods_of["odd@example.com"] = in_mood(step, "554 5.7.1 Rejected by policy")
    with SMTPTransport() as open_door:
        open_door.hand_over(letter(), mark)
        with pytest.raises(DeliveryFailed) as caught:
            open_door.hand_over(letter(to=["odd@example.com"]), mark)
    assert (caught.value.is_final, caught.value.server_down) == (False, False)


@pytest.mark.parametrize("step", ["rcpt", "data", "body"])
def test_refusal_for_now_is_not_final(server: MailServer, mark: Marks, step: str) -> None:
    server.keeper.mood = in_mood(step, "451 Later")
    told = refusal(letter(), mark)
    assert (told.is_final, told.server_down) == (False, False)


@pytest.mark.parametrize("reply", ["450 Full", "550 Unknown"])
@pytest.mark.parametrize("step", ["rcpt", "body"])
def test_after_a_refusal_the_same_connection_carries_the_next(
    server: MailServer, mark: Marks, step: str, reply: str
) -> None:
    server.keeper.moods_of["dead@example.com"] = in_mood(step, reply)
    with SMTPTransport() as open_door:
        with pytest.raises(DeliveryFailed):
            open_door.hand_over(letter(to=["dead@example.com"]), mark)
        open_door.hand_over(letter(), mark)
    assert server.recipients == ["ada@example.com"]
    assert server.keeper.connections == 1


def test_mail_is_not_sent_if_the_mark_cannot_be_made(server: MailServer, mark: Marks) -> None:
    def fails() -> None:
        raise KeyError

    with SMTPTransport() as open_door:
        with pytest.raises(KeyError):
            open_door.hand_over(letter(), fails)
        open_door.hand_over(letter(to=["grace@example.com"]), mark)
    assert server.recipients == ["grace@example.com"]


@pytest.mark.parametrize(
    "address",
    [
        "",
        "nobody",
        "ada@example.com\nBcc: eve@example.com",
        "a\x00b@example.com",
        "ä@b\r.example",
        "a@[",
        "a@b..c",
        "a\ud83d@b.example",
        '"v@evil.example> NOTIFY=NEVER <a"b',
    ],
    ids=ascii,
)
def test_what_is_no_address_is_given_up_and_never_reaches_the_server(
    server: MailServer, mark: Marks, address: str
) -> None:
    told = refusal(letter(to=[address]), mark)
    assert (told.is_final, told.server_down, mark.number) == (True, False, 0)
    assert repr(address) in str(told)
    assert server.keeper.commands == []


def test_mail_that_no_bytes_can_be_made_of_is_given_up(server: MailServer, mark: Marks) -> None:
    told = refusal(letter(headers={"List-Unsubscribe": "one\ntwo"}), mark)
    assert (told.is_final, mark.number) == (True, 0)
    assert server.keeper.commands == []


def test_host_that_cannot_be_waits_for_the_operator(settings: Settings, mark: Marks) -> None:
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "mail..example.com", 25
    told = refusal(letter(), mark)
    assert (told.is_final, told.server_down) == (False, True)
    assert str(told).startswith("No connection to mail..example.com:25: ")


def test_password_that_cannot_be_said_waits_for_the_operator(
    settings: Settings, mark: Marks
) -> None:
    with mail_server(login=("portal", "pässword")) as server:
        send_to(server, settings)
        settings.EMAIL_HOST_USER, settings.EMAIL_HOST_PASSWORD = "portal", "pässword"
        told = refusal(letter(), mark)
    assert (told.is_final, told.server_down) == (False, True)
    assert "ASCII" in str(told)
    assert "pässword" not in str(told)
    assert "xe4" not in str(told)


def test_own_address_that_cannot_be_used_waits_for_the_operator(
    server: MailServer, mark: Marks
) -> None:
    told = refusal(letter(from_email="not an address"), mark)
    assert (told.is_final, told.server_down) == (False, True)
    assert "FROM_EMAIL" in str(told)


# --- In doubt ---


def test_server_may_think_longer_about_a_mail_that_it_has_whole(
    server: MailServer, mark: Marks, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transport, "PATIENCE", PATIENCE)
    server.keeper.mood = Mood(thinks=3 * TIMEOUT)
    with SMTPTransport() as open_door:
        open_door.hand_over(letter(), mark)
    assert len(server.keeper.taken) == 1


@pytest.mark.parametrize("how", [HANG, DROP, TAKE_AND_HANG, TAKE_AND_DROP, "399 What?"])
def test_body_without_an_answer_is_in_doubt(server: MailServer, mark: Marks, how: str) -> None:
    server.keeper.mood = Mood(body=how)
    with SMTPTransport() as open_door, pytest.raises(DeliveryUnknown):
        open_door.hand_over(letter(), mark)
    assert mark.number == 1
    assert len(server.keeper.taken) == (how in (TAKE_AND_HANG, TAKE_AND_DROP))


def test_after_a_doubt_the_next_mail_gets_a_new_connection(server: MailServer, mark: Marks) -> None:
    server.keeper.moods_of["odd@example.com"] = Mood(body=TAKE_AND_DROP)
    with SMTPTransport() as open_door:
        with pytest.raises(DeliveryUnknown):
            open_door.hand_over(letter(to=["odd@example.com"]), mark)
        open_door.hand_over(letter(), mark)
    assert server.recipients == ["odd@example.com", "ada@example.com"]
    assert server.keeper.connections == 2


# --- Encryption and login ---


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """The certificate of localhost, signed by itself, and its key."""
    folder = tmp_path_factory.mktemp("tls")
    certificate, key = folder / "certificate.pem", folder / "key.pem"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"),
            *("-nodes", "-days", "2", "-subj", "/CN=localhost"),
            *("-addext", "subjectAltName=DNS:localhost"),
            *("-keyout", str(key), "-out", str(certificate)),
        ],
        check=True,
        capture_output=True,
    )
    return certificate, key


@pytest.fixture
def tls(certificate: tuple[Path, Path]) -> SSLContext:
    context = SSLContext(PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    return context


@pytest.fixture
def trusted(certificate: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate[0]))


@pytest.mark.usefixtures("trusted")
def test_mail_goes_through_starttls_and_a_login(
    tls: SSLContext, settings: Settings, mark: Marks
) -> None:
    with mail_server(starttls=tls, login=("portal", "pässword")) as server:
        send_to(server, settings)
        settings.EMAIL_USE_TLS = True
        settings.EMAIL_HOST_USER, settings.EMAIL_HOST_PASSWORD = "portal", "password"
        told = refusal(letter(), mark)
        assert "535" in str(told)
        assert "password" not in str(told)
        assert told.server_down
    with mail_server(starttls=tls, login=("portal", "password")) as server:
        send_to(server, settings)
        with SMTPTransport() as open_door:
            open_door.hand_over(letter(), mark)
        assert server.recipients == ["ada@example.com"]


@pytest.mark.usefixtures("trusted")
def test_mail_goes_through_tls_from_the_first_byte(
    tls: SSLContext, settings: Settings, mark: Marks
) -> None:
    with mail_server(tls=tls) as server:
        send_to(server, settings)
        settings.EMAIL_USE_SSL = True
        with SMTPTransport() as open_door:
            open_door.hand_over(letter(), mark)
        assert server.recipients == ["ada@example.com"]


def test_certificate_that_nobody_vouches_for_gets_no_mail(
    tls: SSLContext, settings: Settings, mark: Marks
) -> None:
    with mail_server(starttls=tls) as server:
        send_to(server, settings)
        settings.EMAIL_USE_TLS = True
        told = refusal(letter(), mark)
    assert "certificate" in str(told).lower()
    assert server.keeper.taken == []


def test_mail_never_goes_unencrypted_where_encryption_is_asked_for(
    server: MailServer, settings: Settings, mark: Marks
) -> None:
    settings.EMAIL_USE_TLS = True
    assert "STARTTLS" in str(refusal(letter(), mark))
    assert server.keeper.taken == []


# --- Files ---


def test_every_mail_is_a_file_of_its_own(settings: Settings, tmp_path: Path, mark: Marks) -> None:
    settings.EMAIL_BACKEND = "django.core.mail.backends.filebased.EmailBackend"
    settings.EMAIL_FILE_PATH = str(tmp_path / "mail")
    with open_transport() as open_door:
        for number in range(3):
            open_door.hand_over(letter(subject=f"Mail {number}"), mark)
    files = list((tmp_path / "mail").iterdir())
    assert len(files) == 3
    assert mark.number == 3


def test_file_that_cannot_be_written_waits(settings: Settings, tmp_path: Path, mark: Marks) -> None:
    settings.EMAIL_BACKEND = "django.core.mail.backends.filebased.EmailBackend"
    settings.EMAIL_FILE_PATH = str(tmp_path / "mail")
    with open_transport() as open_door:
        open_door.hand_over(letter(), mark)
        settings.EMAIL_FILE_PATH = str(next((tmp_path / "mail").iterdir()) / "below")
        with pytest.raises(DeliveryFailed) as caught:
            open_door.hand_over(letter(), mark)
    assert caught.value.server_down
