"""Forms of e-mail addresses: which are taken, and that one person has one of them."""

import string
from email.headerregistry import Address

import pytest
from django.core.exceptions import ValidationError
from django.core.mail import EmailMessage
from hypothesis import given
from hypothesis import strategies as st

from accounts.email_addresses import LONGEST, known_email, normal_email
from apitokens import keys
from sso.connections.domains import domain_of

ATOMS = st.text(
    string.ascii_letters + string.digits + "!#$%&'*+/=?^_`{}|~-", min_size=1, max_size=9
)
LOCAL_PARTS = st.lists(ATOMS, min_size=1, max_size=3).map(".".join)
LABELS = st.from_regex(r"[A-Za-z0-9]([A-Za-z0-9-]{0,8}[A-Za-z0-9])?", fullmatch=True)
DOMAINS = st.lists(LABELS, min_size=1, max_size=3).map(
    lambda labels: ".".join([*labels, "Example"])
)


@given(LOCAL_PARTS, DOMAINS)
def test_address_has_one_spelling(local: str, domain: str) -> None:
    typed = f"{local}@{domain}"
    stored = normal_email(typed)

    for other in (typed.upper(), typed.lower(), f" {typed}\r\n", stored):
        assert normal_email(other) == stored
    assert domain_of(stored) == domain.lower()


@given(
    st.text()
    | st.tuples(st.text(), st.text()).map("@".join)
    | st.text(st.characters(max_codepoint=0x7F)).map(lambda text: f'"{text}"@example.com')
)
def test_any_text_is_an_address_or_refused(text: str) -> None:
    found = known_email(text)
    if found is not None:
        assert found == known_email(found)
        assert found.isascii()
        assert found.isprintable()
        assert found == found.lower()
        assert len(found) <= LONGEST


@given(LOCAL_PARTS, DOMAINS)
def test_mail_to_an_address_goes_there(local: str, domain: str) -> None:
    stored = normal_email(f"{local}@{domain}")

    message = EmailMessage("Subject", "Body", "noreply@example.com", [stored]).message()

    assert Address(addr_spec=str(message["To"])).domain == domain.lower()
    assert str(message["To"]) == stored


@pytest.mark.parametrize(
    ("typed", "stored"),
    [
        ("Maria+Tokens@Example.com", "maria+tokens@example.com"),
        ("first.last@sub.example.co.uk", "first.last@sub.example.co.uk"),
        ("maria@xn--bcher-kva.example", "maria@xn--bcher-kva.example"),
        ("o'brien@example.com", "o'brien@example.com"),
        ("\ufeffmaria@example.com\u200b\xa0", "maria@example.com"),
        ('"A@B"@example.com', '"a@b"@example.com'),
    ],
)
def test_forms_that_people_have_are_taken(typed: str, stored: str) -> None:
    assert normal_email(typed) == stored


@pytest.mark.parametrize(
    "typed",
    [
        "",
        "@",
        "maria",
        "maria@",
        "@example.com",
        "maria@@example.com",
        "ma ria@example.com",
        "maria@example..com",
        "maria@-example.com",
        "maria@example.com.",
        "maria@exa_mple.com",
        "maria@example.com\nBcc: x@example.com",
        "maria@bücher.example",
        "mária@example.com",
        "maria@еxample.com",
        "ｍaria@example.com",
        "maria@example\u3002com",
        "\u212aate@example.com",
        "maria\u200b@example.com",
        "Maria <maria@example.com>",
        f"{'a' * 250}@example.com",
        f"a@{'b' * 64}.example",
        '"maria smith"@example.com',
        '"\x01"@example.com',
        '"\x7f"@example.com',
        "a" * 200_000 + "@example.com",
    ],
)
def test_other_forms_are_refused_with_a_sentence(typed: str) -> None:
    with pytest.raises(ValidationError) as refusal:
        normal_email(typed)
    assert str(refusal.value.messages[0]).endswith(".")


@pytest.mark.parametrize("separator", ["$", "_"])
def test_address_that_holds_a_token_is_refused(separator: keys.Separator) -> None:
    token = keys.make(730114528).spell(separator)
    with pytest.raises(ValidationError) as refusal:
        normal_email(f"{token[:64]}@example.com")  # as long as a local part may be
    assert refusal.value.code == "token"
