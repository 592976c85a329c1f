"""A mail is taken, surely not taken, or in doubt, whatever the mail server does."""

import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from ssl import PROTOCOL_TLS_SERVER, SSLContext
from threading import Event

import pytest
from django.core.mail import EmailMessage
from pytest_django import Settings

from notifications.email import transport
from notifications.email.transport import (
    PATIENCE,
    DeliveryFailed,
    DeliveryUnknown,
    SMTPTransport,
    open_transport,
)
from notifications.email.verdicts import Verdict
from tests.mailserver import DROP, HANG, TAKE_AND_DROP, TAKE_AND_HANG, MailServer, Mood, mail_server
from tests.notifications.conftest import TIMEOUT, send_to


def message(**facts: object) -> EmailMessage:
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


def refusal(mail: EmailMessage, mark: Callable[[], None]) -> DeliveryFailed:
    """Why the mail was surely not taken."""
    with SMTPTransport() as opened, pytest.raises(DeliveryFailed) as caught:
        opened.send(mail, mark)
    return caught.value


# --- Taken ---


def test_mail_arrives_with_its_words(server: MailServer, mark: Marks) -> None:
    body = "Grüße\n.\n..dots\nüber 中文\n.end"
    with SMTPTransport() as opened:
        opened.send(message(subject="Läuft ab", body=body), mark)
    (taken,) = server.keeper.taken
    assert (taken.sender, taken.recipient) == ("portal@example.com", "ada@example.com")
    assert taken.message["Subject"] == "Läuft ab"
    assert taken.message.get_content().replace("\r\n", "\n").rstrip("\n") == body
    assert mark.number == 1


@pytest.mark.parametrize("name", ["tokens.example.com", "[192.0.2.1]"])
def test_server_is_told_the_name_of_the_portal(
    server: MailServer, mark: Marks, settings: Settings, name: str
) -> None:
    settings.EMAIL_EHLO_NAME = name
    with SMTPTransport() as opened:
        opened.send(message(), mark)
    assert server.keeper.clients == [name]


def test_body_that_begins_with_a_dot_is_whole(server: MailServer, mark: Marks) -> None:
    with SMTPTransport() as opened:
        opened.send(message(body=".\n.\nend"), mark)
    assert server.keeper.taken[0].content.endswith(b"\r\n.\r\n.\r\nend\r\n")


def test_line_of_ten_thousand_characters_arrives(server: MailServer, mark: Marks) -> None:
    with SMTPTransport() as opened:
        opened.send(message(body="ä" * 10_000), mark)
    assert server.keeper.taken[0].message.get_content().strip() == "ä" * 10_000


def test_international_domains_go_in_ascii(server: MailServer, mark: Marks) -> None:
    with SMTPTransport() as opened:
        opened.send(message(to=["ada@bücher.example"]), mark)
    assert server.recipients == ["ada@xn--bcher-kva.example"]


def test_one_connection_carries_many_mails(server: MailServer, mark: Marks) -> None:
    with SMTPTransport() as opened:
        for number in range(20):
            opened.send(message(to=[f"person{number}@example.com"]), mark)
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
    with SMTPTransport() as opened:
        for _number in range(7):
            opened.send(message(), mark)
    assert len(server.keeper.taken) == 7
    assert server.keeper.connections == 3


# --- Surely not taken ---


def test_refused_connection_takes_nothing(server: MailServer, mark: Marks) -> None:
    server.close()
    failure = refusal(message(), mark)
    assert (failure.verdict, mark.number) == (Verdict.SERVER_DOWN, 0)
    assert str(failure).startswith(f"No connection to localhost:{server.port}: ")


@pytest.mark.parametrize("how", [HANG, DROP, "421 Closing"])
@pytest.mark.parametrize("step", ["greeting", "mail", "rcpt", "data"])
def test_server_that_fails_before_the_body_took_nothing(
    server: MailServer, mark: Marks, step: str, how: str
) -> None:
    server.keeper.mood = in_mood(step, how)
    failure = refusal(message(), mark)
    assert (failure.verdict, mark.number) == (Verdict.SERVER_DOWN, 0)


@pytest.mark.parametrize("step", ["rcpt", "body"])
@pytest.mark.parametrize(
    "reply", ["550 No such user", "551 Moved", "550 5.1.1 Unknown", "554 5.2.1 Disabled"]
)
def test_refusal_of_the_recipient_is_final(
    server: MailServer, mark: Marks, step: str, reply: str
) -> None:
    server.keeper.mood = in_mood(step, reply)
    failure = refusal(message(), mark)
    assert failure.verdict is Verdict.REJECTED
    assert reply in str(failure)


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
    failure = refusal(message(), mark)
    assert failure.verdict is Verdict.SERVER_DOWN
    assert reply in str(failure)


@pytest.mark.parametrize("step", ["rcpt", "body"])
def test_server_that_took_others_refuses_only_this_mail(
    server: MailServer, mark: Marks, step: str
) -> None:
    server.keeper.moods_of["odd@example.com"] = in_mood(step, "554 5.7.1 Rejected by policy")
    with SMTPTransport() as opened:
        opened.send(message(), mark)
        with pytest.raises(DeliveryFailed) as caught:
            opened.send(message(to=["odd@example.com"]), mark)
    assert caught.value.verdict is Verdict.RETRY_LATER


@pytest.mark.parametrize("step", ["rcpt", "data", "body"])
def test_refusal_for_now_is_not_final(server: MailServer, mark: Marks, step: str) -> None:
    server.keeper.mood = in_mood(step, "451 Later")
    failure = refusal(message(), mark)
    assert failure.verdict is Verdict.RETRY_LATER


@pytest.mark.parametrize("reply", ["450 Full", "550 Unknown"])
@pytest.mark.parametrize("step", ["rcpt", "body"])
def test_after_a_refusal_the_same_connection_carries_the_next(
    server: MailServer, mark: Marks, step: str, reply: str
) -> None:
    server.keeper.moods_of["dead@example.com"] = in_mood(step, reply)
    with SMTPTransport() as opened:
        with pytest.raises(DeliveryFailed):
            opened.send(message(to=["dead@example.com"]), mark)
        opened.send(message(), mark)
    assert server.recipients == ["ada@example.com"]
    assert server.keeper.connections == 1


def test_mail_is_not_sent_if_the_mark_cannot_be_made(server: MailServer, mark: Marks) -> None:
    def fails() -> None:
        raise KeyError

    with SMTPTransport() as opened:
        with pytest.raises(KeyError):
            opened.send(message(), fails)
        opened.send(message(to=["grace@example.com"]), mark)
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
    failure = refusal(message(to=[address]), mark)
    assert (failure.verdict, mark.number) == (Verdict.REJECTED, 0)
    assert repr(address) in str(failure)
    assert server.keeper.commands == []


@pytest.mark.parametrize("end", ["\n", "\r", "\r\n"])
@pytest.mark.parametrize("place", ["subject", "header"])
def test_mail_that_would_add_a_header_is_given_up(
    server: MailServer, mark: Marks, place: str, end: str
) -> None:
    words = f"one{end}Bcc: eve@example.com"
    facts: dict[str, object] = (
        {"headers": {"List-Unsubscribe": words}} if place == "header" else {place: words}
    )
    failure = refusal(message(**facts), mark)
    assert (failure.verdict, mark.number) == (Verdict.REJECTED, 0)
    assert server.keeper.commands == []


def test_host_that_cannot_be_waits_for_the_operator(settings: Settings, mark: Marks) -> None:
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "mail..example.com", 25
    failure = refusal(message(), mark)
    assert failure.verdict is Verdict.SERVER_DOWN
    assert str(failure).startswith("No connection to mail..example.com:25: ")


def test_password_that_cannot_be_said_waits_for_the_operator(
    settings: Settings, mark: Marks
) -> None:
    with mail_server(login=("portal", "pässword")) as server:
        send_to(server, settings)
        settings.EMAIL_HOST_USER, settings.EMAIL_HOST_PASSWORD = "portal", "pässword"
        failure = refusal(message(), mark)
    assert failure.verdict is Verdict.SERVER_DOWN
    assert "ASCII" in str(failure)
    assert "pässword" not in str(failure)
    assert "xe4" not in str(failure)


def test_own_address_that_cannot_be_used_waits_for_the_operator(
    server: MailServer, mark: Marks
) -> None:
    failure = refusal(message(from_email="not an address"), mark)
    assert failure.verdict is Verdict.SERVER_DOWN
    assert "FROM_EMAIL" in str(failure)


# --- In doubt ---


def test_server_may_think_longer_about_a_mail_that_it_has_whole(
    server: MailServer, mark: Marks, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transport, "PATIENCE", PATIENCE)
    server.keeper.mood = Mood(thinks=3 * TIMEOUT)
    with SMTPTransport() as opened:
        opened.send(message(), mark)
    assert len(server.keeper.taken) == 1


@pytest.mark.parametrize("how", [HANG, DROP, TAKE_AND_HANG, TAKE_AND_DROP, "399 What?"])
def test_body_without_an_answer_is_in_doubt(server: MailServer, mark: Marks, how: str) -> None:
    server.keeper.mood = Mood(body=how)
    with SMTPTransport() as opened, pytest.raises(DeliveryUnknown):
        opened.send(message(), mark)
    assert mark.number == 1
    assert len(server.keeper.taken) == (how in (TAKE_AND_HANG, TAKE_AND_DROP))


def test_after_a_doubt_the_next_mail_gets_a_new_connection(server: MailServer, mark: Marks) -> None:
    server.keeper.moods_of["odd@example.com"] = Mood(body=TAKE_AND_DROP)
    with SMTPTransport() as opened:
        with pytest.raises(DeliveryUnknown):
            opened.send(message(to=["odd@example.com"]), mark)
        opened.send(message(), mark)
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
        failure = refusal(message(), mark)
        assert "535" in str(failure)
        assert "password" not in str(failure)
        assert failure.verdict is Verdict.SERVER_DOWN
    with mail_server(starttls=tls, login=("portal", "password")) as server:
        send_to(server, settings)
        with SMTPTransport() as opened:
            opened.send(message(), mark)
        assert server.recipients == ["ada@example.com"]


@pytest.mark.usefixtures("trusted")
def test_connection_ends_at_once_when_the_login_is_refused(
    tls: SSLContext, settings: Settings, mark: Marks
) -> None:
    has_ended = Event()
    with mail_server(starttls=tls, login=("portal", "pässword")) as server:
        server.keeper.on_end = has_ended.set
        send_to(server, settings)
        settings.EMAIL_USE_TLS = True
        settings.EMAIL_HOST_USER, settings.EMAIL_HOST_PASSWORD = "portal", "password"
        with SMTPTransport() as opened:
            with pytest.raises(DeliveryFailed, match="535") as caught:
                opened.send(message(), mark)
            assert has_ended.wait(TIMEOUT)
        assert caught.value.verdict is Verdict.SERVER_DOWN


def test_connection_ends_at_once_when_encryption_is_refused(
    server: MailServer, settings: Settings, mark: Marks
) -> None:
    has_ended = Event()
    server.keeper.on_end = has_ended.set
    settings.EMAIL_USE_TLS = True
    with SMTPTransport() as opened:
        with pytest.raises(DeliveryFailed, match="STARTTLS") as caught:
            opened.send(message(), mark)
        assert has_ended.wait(TIMEOUT)
    assert caught.value.verdict is Verdict.SERVER_DOWN


@pytest.mark.usefixtures("trusted")
def test_mail_goes_through_tls_from_the_first_byte(
    tls: SSLContext, settings: Settings, mark: Marks
) -> None:
    with mail_server(tls=tls) as server:
        send_to(server, settings)
        settings.EMAIL_USE_SSL = True
        with SMTPTransport() as opened:
            opened.send(message(), mark)
        assert server.recipients == ["ada@example.com"]


def test_certificate_that_nobody_vouches_for_gets_no_mail(
    tls: SSLContext, settings: Settings, mark: Marks
) -> None:
    with mail_server(starttls=tls) as server:
        send_to(server, settings)
        settings.EMAIL_USE_TLS = True
        failure = refusal(message(), mark)
    assert "certificate" in str(failure).lower()
    assert server.keeper.taken == []


def test_mail_never_goes_unencrypted_where_encryption_is_asked_for(
    server: MailServer, settings: Settings, mark: Marks
) -> None:
    settings.EMAIL_USE_TLS = True
    assert "STARTTLS" in str(refusal(message(), mark))
    assert server.keeper.taken == []


# --- Files ---


def test_every_mail_is_a_file_of_its_own(settings: Settings, tmp_path: Path, mark: Marks) -> None:
    settings.EMAIL_BACKEND = "django.core.mail.backends.filebased.EmailBackend"
    settings.EMAIL_FILE_PATH = str(tmp_path / "mail")
    with open_transport() as opened:
        for number in range(3):
            opened.send(message(subject=f"Mail {number}"), mark)
    files = list((tmp_path / "mail").iterdir())
    assert len(files) == 3
    assert mark.number == 3


def test_file_that_cannot_be_written_waits(settings: Settings, tmp_path: Path, mark: Marks) -> None:
    settings.EMAIL_BACKEND = "django.core.mail.backends.filebased.EmailBackend"
    settings.EMAIL_FILE_PATH = str(tmp_path / "mail")
    with open_transport() as opened:
        opened.send(message(), mark)
        settings.EMAIL_FILE_PATH = str(next((tmp_path / "mail").iterdir()) / "below")
        with pytest.raises(DeliveryFailed) as caught:
            opened.send(message(), mark)
    assert caught.value.verdict is Verdict.SERVER_DOWN
