"""Mails are put together by us, and must be what Django would have made of them."""

import re
from collections.abc import Callable
from email import message_from_bytes, policy
from unittest import mock
from uuid import UUID

import pytest
import time_machine
from django.core.mail import EmailMultiAlternatives
from django.core.mail.message import BadHeaderError
from hypothesis import example, given
from hypothesis import strategies as st

from notifications.email.mime import TwoPartMail, as_bytes

BOUNDARY = "0" * 31 + "1"

# Lines of every length about the bound, of one and of many bytes a character; every end of a line.
pieces = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=30),
    st.sampled_from(["\n", "\r\n", "\r", "\n\n", "\n.", ".", "From ", "\x0b", "\u2028", " ", "\0"]),
    st.integers(990, 1_000).map("x".__mul__),
    st.integers(490, 500).map("ä".__mul__),
)
texts = st.lists(pieces, max_size=6).map("".join)
subjects = st.text(
    st.characters(exclude_categories=["Cs"], exclude_characters="\r\n"), max_size=200
)
addresses = st.one_of(
    st.sampled_from(
        ["ada@example.com", "jürgen@bücher.example", '"odd one"@example.com', "nobody"]
    ),
    st.emails(),
)


def mail_of(
    text: str = "Hello\n",
    html: str = "<p>Hello</p>\n",
    subject: str = "Hello",
    to: str = "ada@example.com",
    **headers: str,
) -> TwoPartMail:
    return TwoPartMail(
        subject=subject,
        text=text,
        html=html,
        to=to,
        message_id="<1@example.com>",
        headers={name.replace("_", "-"): value for name, value in headers.items()},
    )


def told(write: Callable[[], bytes]) -> bytes | str:
    """What it wrote, or which error it ended with."""
    with (
        time_machine.travel("2026-11-27T12:00:00Z", tick=False),
        mock.patch("notifications.email.mime.uuid4", return_value=UUID(BOUNDARY)),
    ):
        try:
            return write()
        except (ValueError, IndexError) as error:
            return f"{type(error).__name__}: {error}"


def by_django(mail: TwoPartMail) -> bytes | str:
    return told(lambda: mail.message().as_bytes(linesep="\r\n"))


def is_put_together(mail: TwoPartMail) -> bool:
    with mock.patch("notifications.email.mime._generated", side_effect=AssertionError):
        try:
            as_bytes(mail)
        except AssertionError:
            return False
    return True


@given(text=texts, html=texts, subject=subjects, to=addresses)
@example(text="a\n", html="<p>ä</p>", subject="x" * 2_000, to="ada@example.com")
@example(text="a", html="b", subject="7\u00a0days " * 30, to="ada@example.com")
@example(text="中" * 332, html="中" * 333, subject="", to="ada@example.com")
@example(text="\n", html="", subject=" ", to="ada@example.com")
def test_bytes_are_those_that_django_would_write(
    text: str, html: str, subject: str, to: str
) -> None:
    mail = mail_of(text, html, subject, to, List_Unsubscribe="<http://localhost/" + "x" * 300 + ">")
    ours = told(lambda: as_bytes(mail))
    assert ours == by_django(mail)
    assert isinstance(ours, str) or ours.splitlines() == ours.removesuffix(b"\r\n").split(b"\r\n")


@given(subject=subjects, to=addresses, name=subjects)
def test_every_header_is_what_django_would_write(subject: str, to: str, name: str) -> None:
    mail = mail_of("a", "b", subject, to, X_Name=name)
    assert told(lambda: as_bytes(mail)) == by_django(mail)


@pytest.mark.parametrize(
    "body",
    [
        "",
        "\n",
        "no end",
        "ends\n",
        "a\r\nb\rc\n\n",
        "ä\n",
        "中" * 2_000,
        "x" * 3_000,
        "From me\n.\n",
    ],
)
def test_other_messages_are_what_django_would_write(body: str) -> None:
    headers = {"Message-ID": "<1@example.com>", "Date": "Mon, 23 Nov 2026 12:00:00 -0000"}
    message = EmailMultiAlternatives(
        "Läuft ab", body, "p@example.com", ["ada@example.com"], headers=headers
    )
    message.attach_alternative(f"<p>{body}</p>", "text/html")
    ours, theirs = as_bytes(message), message.message().as_bytes(linesep="\r\n")
    boundary = re.compile(rb"={15}\d+==")  # drawn anew each time
    assert boundary.sub(b"", ours) == boundary.sub(b"", theirs)


@pytest.mark.parametrize("mail", [mail_of(), mail_of(subject="Läuft ab"), mail_of("ä" * 499)])
def test_usual_mails_are_put_together(mail: TwoPartMail) -> None:
    assert is_put_together(mail)


@pytest.mark.parametrize("text", ["", "a\rb", "ä" * 500, "x" * 999])
def test_unusual_texts_are_left_to_the_library(text: str) -> None:
    assert not is_put_together(mail_of(text))
    assert not is_put_together(mail_of(html=text))


def test_attachments_are_not_forgotten() -> None:
    mail = mail_of()
    mail.attach("facts.txt", "Facts", "text/plain")
    assert b"facts.txt" in as_bytes(mail)


@pytest.mark.parametrize("end", ["\n", "\r", "\r\n"])
@pytest.mark.parametrize("place", ["subject", "to", "X_Name"])
def test_nothing_adds_a_header(place: str, end: str) -> None:
    with pytest.raises(BadHeaderError):
        as_bytes(mail_of(**{place: f"ada@example.com{end}Bcc: eve@example.com"}))


def test_both_parts_can_be_read() -> None:
    mail = mail_of("Grüße\n", "<p>Grüße</p>\n", "Läuft ab")
    read = message_from_bytes(as_bytes(mail), policy=policy.default)
    text, html = read.iter_parts()
    assert (read["Subject"], text.get_content(), html.get_content()) == (
        "Läuft ab",
        "Grüße\r\n",
        "<p>Grüße</p>\r\n",
    )
