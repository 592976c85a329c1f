"""A mail as bytes: no words in it add a header, end a line badly, or change the other part."""

import re
from email import message_from_bytes, policy
from email.message import EmailMessage

import pytest
from django.core.mail.message import BadHeaderError
from hypothesis import example, given
from hypothesis import strategies as st

from notifications.email.rendering import (
    LONGEST_LINE,
    RenderedEmail,
    build_message,
    message_id,
    one_line,
    one_name,
    quoted_name,
)
from notifications.links import has_link
from notifications.models import Mail

LONGEST_ON_WIRE = 998

# Lines of every length about the bound, of one and of many bytes a character; every end of a line.
pieces = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"]), max_size=30),
    st.sampled_from(["\n", "\r\n", "\r", "\n\n", "\n.", ".", "From ", "\x0b", "\u2028", " ", "\0"]),
    st.integers(990, 1_000).map("x".__mul__),
    st.integers(490, 500).map("ä".__mul__),
)
texts = st.lists(pieces, max_size=6).map("".join).filter(bool)
subjects = st.text(max_size=400).map(one_line)


def bytes_of(
    text: str = "Hello\n",
    html: str = "<p>Hello</p>\n",
    subject: str = "Hello",
    to: str = "ada@example.com",
    unsubscribe_url: str = "",
) -> bytes:
    """The mail with these words, as it goes over the wire."""
    rendered = RenderedEmail(subject, text, html, unsubscribe_url)
    written = build_message(Mail(address=to), rendered).message().as_bytes(linesep="\r\n")
    assert isinstance(written, bytes)
    return written


def read(content: bytes) -> EmailMessage:
    """The mail as a mail program reads it."""
    message = message_from_bytes(content, policy=policy.default)
    assert isinstance(message, EmailMessage)
    return message


def lines_of(message: EmailMessage, part: str) -> list[str]:
    body = message.get_body((part,))
    assert body is not None
    return str(body.get_content()).replace("\r\n", "\n").split("\n")


def lines_as_written(text: str) -> list[str]:
    return text.replace("\r\n", "\n").replace("\r", "\n").split("\n")


@given(text=texts, html=texts, subject=subjects)
@example(text="a\n", html="<p>ä</p>", subject="x" * LONGEST_LINE)
@example(text="a", html="b", subject="7\u00a0days " * 30)
@example(text="中" * 332, html="中" * 333, subject="")
@example(text="\n", html=" ", subject=" ")
@example(text="a\r\nb\rc\n\n", html="From me\n.\n", subject="x")
def test_every_line_ends_with_crlf(text: str, html: str, subject: str) -> None:
    lines = bytes_of(text, html, subject).split(b"\r\n")
    assert not [line for line in lines if b"\r" in line or b"\n" in line]


@given(line=st.text(max_size=20).map(one_line), width=st.integers(900, 1_010), subject=subjects)
@example(line="", width=998, subject="x" * LONGEST_LINE)
@example(line="中" * 332, width=998, subject="中" * LONGEST_LINE)
def test_no_line_is_too_long_for_a_mail_server(line: str, width: int, subject: str) -> None:
    long = line + "x" * width
    content = bytes_of(long, long, subject, unsubscribe_url="http://localhost/" + "x" * 300)
    assert max(map(len, content.split(b"\r\n"))) <= LONGEST_ON_WIRE


@given(text=texts, html=texts)
@example(text="Grüße\n", html="<p>Grüße</p>\n")
@example(text="x" * 3_000, html="中" * 2_000)
@example(text="\n", html="\n")
def test_both_parts_say_what_was_rendered(text: str, html: str) -> None:
    message = read(bytes_of(text, html))
    assert [part.get_content_type() for part in message.walk()] == [
        "multipart/alternative",
        "text/plain",
        "text/html",
    ]
    assert lines_of(message, "plain") == lines_as_written(text)
    assert lines_of(message, "html") == lines_as_written(html)


@given(subject=subjects)
def test_head_is_ascii_and_no_subject_adds_to_it(subject: str) -> None:
    head = bytes_of(subject=subject).split(b"\r\n\r\n")[0]
    names = [line.split(b":")[0] for line in head.split(b"\r\n") if not line.startswith(b" ")]
    assert head.isascii()
    assert names == [
        b"Content-Type",
        b"MIME-Version",
        b"Subject",
        b"From",
        b"To",
        b"Date",
        b"Message-ID",
        b"Auto-Submitted",
    ]


@pytest.mark.parametrize("end", ["\n", "\r", "\r\n"])
@pytest.mark.parametrize("place", ["subject", "to", "unsubscribe_url"])
def test_nothing_adds_a_header(place: str, end: str) -> None:
    with pytest.raises(BadHeaderError):
        bytes_of(**{place: f"ada@example.com{end}Bcc: eve@example.com"})


def test_subject_beyond_ascii_is_read_as_it_was_written() -> None:
    assert read(bytes_of(subject="Läuft ab"))["Subject"] == "Läuft ab"


def test_mail_that_can_be_stopped_says_so_on_one_line() -> None:
    url = "http://localhost/notifications/unsubscribe/" + "x" * 300
    head = bytes_of(unsubscribe_url=url).split(b"\r\n")
    assert f"List-Unsubscribe: <{url}>".encode() in head
    assert b"List-Unsubscribe-Post: List-Unsubscribe=One-Click" in head


def test_mail_that_cannot_be_stopped_names_no_way_to_do_so() -> None:
    assert b"List-Unsubscribe" not in bytes_of()


def test_message_id_comes_from_the_row() -> None:
    mail = Mail(address="ada@example.com")
    message = build_message(mail, RenderedEmail("Hello", "Hello", "<p>Hello</p>"))
    assert message.extra_headers["Message-ID"] == message_id(mail) == f"<{mail.pk.hex}@localhost>"


def test_short_name_keeps_its_very_characters() -> None:
    name = "Zoe\u0308 of the Cafe\u0301"
    assert one_line(name) == name


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("Nightly backup", "Nightly backup"),
        ("deploy.example.com", "deploy[.]example[.]com"),
        ("at https://evil.example/a?b", "at https[:]//evil[.]example/a?b"),
        ("WWW.EVIL.EXAMPLE", "WWW[.]EVIL[.]EXAMPLE"),
        ("maria@example.com", "maria@example[.]com"),
        ("192.0.2.7", "192[.]0[.]2[.]7"),
        ("evil\uff0eexample", "evil[.]example"),
        ("evil\u3002example", "evil[.]example"),
        ("evil.\u200bexample", "evil[.]example"),
        ("evil.\ufe0fexample", "evil[.]example"),
        ("evil.\u3164example", "evil[.]example"),
        ("http:\\\\evil", "http[:]\\\\evil"),
        ("mailto:evil@x", "mailto[:]evil@x"),
        ("Meier & Co.KG", "Meier & Co.KG"),
        ("J.P. Morgan v1.2", "J.P. Morgan v1.2"),
    ],
)
def test_name_leads_nowhere(name: str, shown: str) -> None:
    assert one_name(name) == shown
    assert quoted_name(name) == f"“{shown}”"


@pytest.mark.parametrize("name", ["x” did nothing “y", "„x“", "«x»", 'x" y', "「x」", "〝x〞"])
def test_name_does_not_end_the_quotes_around_it(name: str) -> None:
    assert re.sub(r"[\w ']", "", one_name(name)) == ""


@given(st.text(max_size=200))
def test_no_name_has_a_link_in_it(name: str) -> None:
    assert not has_link(one_name(name))
