"""What of a text counts when people search and sort. Pure; `expressions` says the same in SQL.

A search looks past case, accents and compatibility forms, so that "äpfel", "APFEL" and an "Äpfel"
of two code points find each other, as "ß" and "ss" do, and the four letters i of Turkish
and Azerbaijani. It looks past what keyboards lack and programs put in: letters with a stroke,
typographic apostrophes and hyphens, several spaces for one. A sort looks past them too, but for
letters that have a place of their own in the reader's alphabet.
"""

import re
import unicodedata
from functools import cache
from itertools import chain, groupby

LAST = "\U0010fffd"
"""Sorts behind every letter: "C" + LAST is the letter between C and D."""
MARKS = "[\u0300-\u036f]"
"""Accents. (Vowel signs of other scripts have blocks of their own, and count.)"""
DOUBLE = [
    *[("ß", "ss"), ("ẞ", "SS")],  # not every database makes two letters of it
    *[("æ", "ae"), ("Æ", "AE"), ("œ", "oe"), ("Œ", "OE")],
]
"""Letters that stand for two."""
FORMER = "łŁøØđĐəƏ\u2018\u2019\u02bc\u2010\u2011\u2012\u2013\u2014\u2015"
PRESENT = "lLoOdDeE'''------"
"""Letters that Unicode does not take apart, apostrophes and hyphens; what stands for each."""
SPACES = " {2,}"
CHINESE = "zh-hans"
GB18030 = "gb18030"
"""The charset in which common Chinese characters stand in the order of their pronunciation."""

LONGEST_TEXT = 10_000

_EVERYWHERE = {"й": "и"}
_ALPHABETS = {
    "az": {
        "ç": "c",
        "ə": "e",
        "ğ": "g",
        "x": "h",
        "i": "ı",
        "q": "k",
        "ö": "o",
        "ş": "s",
        "ü": "u",
    }
}
"""By language: letters that stand between another letter and the next one."""
_CAPITALS = {"i": "İ", "ı": "I"}

_FOLDED = [
    *(range(0x80, 0x3400), range(0xA000, 0xAC00), range(0xF900, 0x11A00)),
    *(range(0x16E00, 0x17000), range(0x1D100, 0x1FC00), range(0x2F800, 0x2FA1E)),
]
"""Where the characters are that are folded to others, but for syllables of Hangul. These are folded
to letters that nobody writes alone."""
_ACCENTED = [*range(0xC0, 0x530), *range(0x1E00, 0x2000)]
"""Where accented letters are: Latin, Greek and Cyrillic."""
_HANGUL = range(0x1100, 0x1200)
MOST_PATTERNS = 3

_MARKS = re.compile(MARKS)
_SPACES = re.compile(SPACES)
_PRESENT = str.maketrans(FORMER, PRESENT)


def normal_text(text: str) -> str:
    """The text in composed form (NFC), as the portal stores it.

    What is too long for any field stays as it is, and is refused: composing it could take time that
    grows with the square of its length.
    """
    return text if len(text) > LONGEST_TEXT else unicodedata.normalize("NFC", text)


def fold(text: str) -> str:
    """What of the text a search compares."""
    plain = text if text.isascii() else _plain(text)
    return _SPACES.sub(" ", plain.upper())


def _plain(text: str) -> str:
    plain = _MARKS.sub("", unicodedata.normalize("NFKD", text))
    for letter, letters in DOUBLE:
        plain = plain.replace(letter, letters)
    return plain.translate(_PRESENT)


def patterns_of(words: str) -> list[str]:
    """Regular expressions, each a set of characters, that a text matches if the words are in it
    when both are folded. (It may match them without.)"""
    letters = [each for each in dict.fromkeys(fold(words)) if ord(each) not in _HANGUL]
    return [
        f"[{re.escape(letter + _spellings().get(letter, ''))}]"
        for letter in letters[:MOST_PATTERNS]
    ]


@cache
def _spellings() -> dict[str, str]:
    """By folded letter, the other characters that are folded to it, or to several with it."""
    found: dict[str, str] = {}
    for character in map(chr, chain(range(0x80), *_FOLDED)):
        for letter in set(fold(character)) - {character}:
            found[letter] = found.get(letter, "") + character
    return found


@cache
def accented_letters(but: str) -> str:
    """ASCII, and the letters of which a fold only takes accents away, but for these: ranges, as in
    a set of a regular expression."""
    kept = [
        code
        for code in (*range(0x20, 0x7F), *_ACCENTED)
        if chr(code) not in but and _loses_only_accents(chr(code))
    ]
    runs = groupby(enumerate(kept), lambda numbered: numbered[1] - numbered[0])
    ends = [[code for _number, code in run] for _start, run in runs]
    return "".join(f"{chr(codes[0])}-{chr(codes[-1])}" for codes in ends)


def _loses_only_accents(letter: str) -> bool:
    plain = _MARKS.sub("", unicodedata.normalize("NFKD", letter))
    if letter != " " and (not plain or " " in plain):
        return False
    capitals = fold(letter)  # no database makes two of one
    return capitals == plain.upper() and len(capitals) == len(plain)


def sort_key(text: str, language: str) -> str | bytes:
    """What a sort compares for a reader of this language."""
    key = fold(normal_text(text).translate(_table(language)))
    return key.encode(GB18030) if language == CHINESE else key


def own_letters(language: str) -> list[tuple[str, str]]:
    """Letters with a place of their own in this language's alphabet, small and large, each with
    what it is replaced by before the text is folded."""
    alphabet = _EVERYWHERE | _ALPHABETS.get(language, {})
    return [
        (form, _CAPITALS.get(before, before.upper()) + LAST)
        for letter, before in alphabet.items()
        for form in (letter, _CAPITALS.get(letter, letter.upper()))
    ]


@cache
def _table(language: str) -> dict[int, str]:
    return {ord(letter): replacement for letter, replacement in own_letters(language)}
