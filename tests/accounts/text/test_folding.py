"""What a search and a sort compare: pure, and the same in SQL."""

import re
import unicodedata
from functools import cache
from typing import Literal

import pytest
from django.db.models import TextField, Value
from django.db.models.functions import Cast
from django.utils import translation
from hypothesis import given
from hypothesis import strategies as st

from accounts.models import Account
from accounts.text.expressions import SortKey, in_alphabet
from accounts.text.fields import WrittenField
from accounts.text.folding import FORMER, accented_letters, fold, patterns_of, sort_key
from tests.portal import ROOT

TEXTS = st.text(
    st.characters(exclude_categories=["Cs", "Cn", "Co"], exclude_characters="\0"), max_size=12
)
FORMS: list[Literal["NFC", "NFD", "NFKC", "NFKD"]] = ["NFC", "NFD", "NFKC", "NFKD"]
AZERBAIJANI = list("abcçdeəfgğhxıijkqlmnoöprsştuüvyz")
RUSSIAN = list("абвгдежзийклмнопрстуфхцчшщъыьэюя")


@given(TEXTS)
def test_forms_of_a_text_are_one(text: str) -> None:
    forms = {fold(unicodedata.normalize(form, text)) for form in FORMS}

    assert len(forms) == 1
    assert fold(fold(text)) == fold(text)
    assert WrittenField().to_python(text) == unicodedata.normalize("NFC", text)


@given(TEXTS, st.sampled_from(["en", "de", "ru", "zh-hans", "az", ""]))
def test_forms_of_a_text_have_one_place(text: str, language: str) -> None:
    keys = {sort_key(unicodedata.normalize(form, text), language) for form in FORMS[:2]}

    assert len(keys) == 1


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Straße", "STRASSE"),
        ("ẞ", "ß"),
        ("éclair", "ÉCLAIR"),
        ("e\u0301clair", "Éclair"),
        ("ТОКЕН", "токен"),
        ("ёлка", "Елка"),
        ("İlham", "ilham"),
        ("IŞIQ", "ışıq"),
        ("ﬁle", "FILE"),
        ("ＡＢＣ", "abc"),
        ("ΣΟΦΟΣ", "σοφος"),
        ("σοφος", "σοφοσ"),
        ("ŁÓDŹ", "lodz"),
        ("Søren Ǿ", "soren o"),
        ("Đorđe", "dorde"),
        ("Nərgiz", "NERGIZ"),
        ("Æther ǽ œuvre", "aether ae OEUVRE"),
        ("D\u2019Arcy \u2018x\u02bc", "d'arcy 'x'"),
        ("Jean\u2011Luc\u2010\u2012\u2013\u2014\u2015", "jean-luc-----"),
        ("Anna \xa0 Two", "anna two"),
        ("Anna  Two", "anna two"),
    ],
)
def test_people_take_these_for_the_same(one: str, other: str) -> None:
    assert fold(one) == fold(other)


@pytest.mark.parametrize(
    ("one", "other"), [("annatwo", "anna two"), ("ж", "з"), ("中", "国"), ("a", "b")]
)
def test_people_take_these_for_different(one: str, other: str) -> None:
    assert fold(one) != fold(other)


@pytest.mark.parametrize(
    ("language", "alphabet"), [("az", AZERBAIJANI), ("ru", RUSSIAN), ("en", RUSSIAN)]
)
def test_alphabet_is_in_its_own_order(language: str, alphabet: list[str]) -> None:
    words = [letter + ending for letter in alphabet for ending in ("a", "z")]

    assert sorted(words, key=lambda word: sort_key(word, language)) == words


def test_chinese_is_in_the_order_of_its_pronunciation() -> None:
    names = ["安", "白", "陈", "李", "王", "张"]

    assert sorted(names, key=lambda name: sort_key(name, "zh-hans")) == names


@pytest.mark.both
@pytest.mark.parametrize("language", ["en", "az", "zh-hans"])
def test_database_compares_what_python_does(account: Account, language: str) -> None:
    """Every letter, accent and digit of the first scripts, and signs that mean something in SQL or
    stand for others."""
    text = "".join(
        character
        for character in map(chr, range(0x20, 0x3000))
        if unicodedata.category(character)[0] in "LMNZ" or character in f"%_'\\{FORMER}"
    )
    text += " ".join(["", "a", "", "ə", "", ""])
    with translation.override(language):
        assert sort_keys_in_database([text]) == [sort_key(text, language)]


def sort_keys_in_database(texts: list[str]) -> list[str | bytes]:
    keys = [SortKey(Cast(Value(text), TextField())) for text in texts]
    found = Account.objects.values_list(*keys).get()
    return [bytes(key) if isinstance(key, memoryview) else key for key in found]


@pytest.mark.both
@pytest.mark.parametrize("language", ["en", "az", "zh-hans"])
def test_database_compares_accented_names_as_python_does(account: Account, language: str) -> None:
    """It takes a shorter way for each of these; a decomposed letter is among them."""
    accented = "".join(
        map(chr, (*range(0xC0, 0x300), *range(0x370, 0x530), *range(0x1E00, 0x2000)))
    )
    words = [accented[start : start + 3] for start in range(0, len(accented), 3)]
    plain = [word for word in words if re.fullmatch(f"[{accented_letters('')}]*", word)]
    assert len(plain) > 300
    texts = ["Андрей", "Андреи\u0306", "a\u0306 b", "ixq IXQ ıİ", "é  è", *words]
    with translation.override(language):
        for start in range(0, len(texts), 50):
            some = texts[start : start + 50]
            assert sort_keys_in_database(some) == [sort_key(text, language) for text in some]


@pytest.mark.both
@pytest.mark.parametrize("lookup", ["icontains", "ihas"])
def test_database_finds_what_python_does(account: Account, lookup: str) -> None:
    """Words with an index and without one, with a space in them that may be a wide one, and none,
    in texts that have several spaces in a row."""
    texts = ["", "a", "a  b", "Anna  Two", "x\xa0 y %z_", "Ä \u3000 ß", "ab", "a b\\c", "annatwo"]
    words = ["a", "b", " ", "  ", "a b", "a  b", "a\xa0b", "ss", "ä", "x\u3000y", "two", "a t"]
    words += ["na  tw", "%", "_", "z_", "\\", "ab", "nat", "  b"]
    for text in texts:
        written = Account.objects.annotate(text=Cast(Value(text), TextField()))
        found = [word for word in words if written.filter(**{f"text__{lookup}": word}).exists()]
        assert found == [word for word in words if fold(word) in fold(text)], text


def test_every_character_matches_the_patterns_of_what_it_is_folded_to() -> None:
    """So a text that has the words in it is never left out."""
    patterns = cache(lambda letter: [re.compile(each) for each in patterns_of(letter)])
    for character in map(chr, range(0x110000)):
        for letter in set(fold(character)):
            if letter == character and not letter.isascii():
                # Most do so: compiling a pattern for each would take minutes.
                assert all(letter in each for each in patterns_of(letter)), letter
            else:
                assert all(each.search(character) for each in patterns(letter)), (character, letter)


@given(TEXTS)
def test_text_matches_the_patterns_of_its_parts(text: str) -> None:
    for start in range(len(text)):
        words = text[start : start + 3]
        assert all(re.search(each, text) for each in patterns_of(words)), words


@pytest.mark.parametrize(
    ("language", "order"),
    [
        ("en", ["Äpfel", "beta", "Zulu"]),
        ("az", ["Äpfel", "beta", "Zulu"]),
        ("zh-hans", ["Äpfel", "beta", "Zulu"]),
    ],
)
def test_texts_that_no_query_sorts_are_in_the_order_of_readers(
    language: str, order: list[str]
) -> None:
    with translation.override(language):
        assert in_alphabet(["Zulu", "beta", "Äpfel"]) == order


def test_no_names_are_sorted_by_their_bytes() -> None:
    """Python's own order is nobody's: "Zulu" before "beta"."""
    found = [
        f"{file.relative_to(ROOT)}: {line.strip()}"
        for app in ("accounts", "apitokens", "notifications", "sso")
        for file in (ROOT / app).rglob("*.py")
        for line in file.read_text().splitlines()
        if re.search(r"sorted\([\w.]+\.(name|get_full_name\(\)|email|label) for ", line)
    ]
    assert found == []
