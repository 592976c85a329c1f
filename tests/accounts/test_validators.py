"""What text people may give."""

import unicodedata
from collections.abc import Callable
from unittest.mock import Mock

import pytest
from django.core.exceptions import ValidationError
from hypothesis import given
from hypothesis import strategies as st

from accounts import validators
from accounts.validators import (
    HIGHEST_ID,
    parse_id,
    validate_line,
    validate_name,
    validate_paragraphs,
    validate_visible,
)

DIRECTIONS = [*range(0x202A, 0x202F), *range(0x2066, 0x206A)]
LETTERS = [
    "Nightly backup",
    "نسخة احتياطية ليلية",
    "缓存预热",
    "Ünïcödé",
    "👩‍🚀 e\u0301",
    "a\u00a0b",
]


def is_welcome(text: str, validate: Callable[[str], None]) -> bool:
    try:
        validate(text)
    except ValidationError:
        return False
    return True


@pytest.mark.parametrize("text", LETTERS)
def test_any_script_is_welcome(text: str) -> None:
    for validate in (validate_line, validate_paragraphs, validate_visible):
        assert is_welcome(text, validate)


@given(st.characters(categories=["Cc", "Cs", "Zl", "Zp"]))
def test_one_line_has_no_control_characters(character: str) -> None:
    with pytest.raises(ValidationError):
        validate_line(f"a{character}b")


@pytest.mark.parametrize("character", ["\r", "\n", "\t"])
def test_paragraphs_may_have_line_breaks_and_tabs(character: str) -> None:
    assert is_welcome(f"a{character}b", validate_paragraphs)
    assert not is_welcome(f"a{character}b", validate_line)


@given(st.characters(categories=["Cc", "Cs"], exclude_characters="\r\n\t"))
def test_paragraphs_have_no_other_control_characters(character: str) -> None:
    with pytest.raises(ValidationError):
        validate_paragraphs(f"a{character}b")


@pytest.mark.parametrize("code", DIRECTIONS)
def test_nothing_may_turn_its_neighbours_around(code: int) -> None:
    for validate in (validate_line, validate_paragraphs):
        with pytest.raises(ValidationError):
            validate(f"invoice{chr(code)}fdp.exe")


@pytest.mark.parametrize(
    "text", ["", " ", "\u200b", "\u2060", "\ufeff\u00a0", "\u0301", "\u3164", "\u2800"]
)
def test_text_must_show_something(text: str) -> None:
    with pytest.raises(ValidationError):
        validate_visible(text)


@given(st.text(min_size=1))
def test_every_text_is_either_storable_or_refused(text: str) -> None:
    """Whatever passes can be encoded and holds no character that PostgreSQL refuses."""
    try:
        validate_paragraphs(text)
    except ValidationError:
        return
    assert "\0" not in text
    assert not any(unicodedata.category(character) == "Cs" for character in text)
    text.encode()


@pytest.mark.parametrize("text", ["1", "0", "00012", str(HIGHEST_ID)])
def test_id_is_a_number_that_a_database_can_hold(text: str) -> None:
    assert parse_id(text) == int(text)


@pytest.mark.parametrize(
    "text", ["", "-1", "1.5", " 1", "٣", "1e3", "x", str(HIGHEST_ID + 1), "9" * 5000]
)
def test_other_text_is_no_id(text: str) -> None:
    assert parse_id(text) is None


NAMES = [
    "Example Inc.",
    "Yahoo! Inc.",
    "J.P. Morgan & Co.",
    "Dr. Maria Smith-Jones",
    "S.p.A. Roma",
    "Müller & Söhne GmbH",
    "AT&T",
    "3M",
    "Web 2.0 AG",
    "O'Brien: Partners",
    "The Church of Jesus Christ of Latter-day Saints",
    "株式会社例",
    "ООО Ромашка",
    "Who?",
]
NO_NAMES = [
    "https://evil.example",
    "HTTPS://evil.example/sign-in",
    "evil.example",
    "www.evil.example",
    "Sign in at evil.example",
    "maria@example.com",
    "192.0.2.7",
    "bücher.example",
    "ftp://x",
    "paypal\uff0ecom",
    "paypal\u3002com",
    "paypal\uff61com",
    "paypal\u2024com",
    "paypal.\u200bcom",
    "paypal\u2060.com",
    "https:/\u200b/evil",
    "http:\\\\evil",
    "https\uff1a//evil",
    "mailto:evil@x",
    "Tel:+18885550100",
    "Call 1 888 555 0100 now",
    "+1 (888) 555-0100",
    "\uff11 \uff18\uff18\uff18 555 0100",
    "2130706433",
    "PayPal security: your account is locked",
    "Warning! Your account will be closed today",
    "one two three four five six seven eight nine ten eleven twelve thirteen",
    "a\nb",
    "\u200b",
    "\u3164",
]


ORDINARY = [
    *("GmbH & Co.KG", "Müller GmbH & Co. KG", "Meier&Co.KGaA", "St. Pölten", "Acme Inc.", "Nr. 5"),
    *("Zimmer Nr.5", "e.V. Musik", "S.A.R.L. Dupont", "Sp. z o.o.", "Projekt 2026-2027"),
    *("Haus 12, Top 3", "有限公司。", "Data: Hub", "Tel Aviv", "می\u200cخواهم"),
]


@pytest.mark.parametrize("name", ORDINARY)
def test_name_with_stops_and_numbers_is_welcome(name: str) -> None:
    assert is_welcome(name, validate_name)


@pytest.mark.parametrize("name", NAMES)
def test_names_of_people_and_companies_are_welcome(name: str) -> None:
    assert is_welcome(name, validate_name)


@pytest.mark.parametrize("name", NO_NAMES)
def test_address_or_sentence_is_no_name(name: str) -> None:
    assert not is_welcome(name, validate_name)


def test_text_that_is_too_long_for_a_name_is_not_searched(monkeypatch: pytest.MonkeyPatch) -> None:
    """A form may bring a quarter of a megabyte. That it is too long is said by `max_length`."""
    search = Mock(return_value=False)
    monkeypatch.setattr(validators, "has_link", search)
    validate_name("a" * 250_000)
    assert search.call_count == 0
    validate_name("a" * 150)
    assert search.call_count == 1


SECRET = "0123456789abcdef" * 4 + "01234567"
TOKENS = {
    "token": f"771142358${SECRET}",
    "other spelling": f"see 771142358_{SECRET} for it",
    "cut": f"771142358${SECRET[:20]}",
    "secret alone": SECRET,
    "verifier key": f"verifier_12_{SECRET}",
    "short-lived": "eyJhbGciOiJIUzI1NiJ9.eyJpZCI6MX0.c2lnbmF0dXJl",
    "link": f"WzEsMl0:1xVdK7:{'s' * 43}",
}


@pytest.mark.parametrize("kind", TOKENS)
def test_token_in_place_of_a_name_is_refused(kind: str) -> None:
    """It was pasted into the wrong field, and would be kept, shown and mailed."""
    for validate in (validate_line, validate_paragraphs):
        with pytest.raises(ValidationError) as refusal:
            validate(TOKENS[kind])
        assert refusal.value.code == "token"
        assert SECRET[:16] not in str(refusal.value)


@pytest.mark.parametrize(
    "text", ["Token 771142358", "771142358_deploys", "3f2a9c", "Purge after 2027_01_31", "1$ a day"]
)
def test_ordinary_name_is_no_token(text: str) -> None:
    assert is_welcome(text, validate_line)
    assert is_welcome(text, validate_paragraphs)
