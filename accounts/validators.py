"""Validators of text: visible, storable, unable to reorder the text around it, and names."""

import re
import unicodedata

from django.core.exceptions import ValidationError
from django.utils.translation import gettext_lazy as _

from notifications.hooks import Hook
from notifications.links import has_link

# U+202A-202E and U+2066-2069 reorder the text around them: an "exe.txt" trick for names in lists.
# (Right-to-left letters need none of them.)
_DIRECTION = re.compile("[\u202a-\u202e\u2066-\u2069]")
# Letters and signs of which nothing is seen: fillers of Korean syllables, a braille cell.
_BLANK = "\u115f\u1160\u3164\uffa0\u2800"
_LINE_CATEGORIES = {"Cc", "Cs", "Zl", "Zp"}
_ID = re.compile("[0-9]{1,19}")
_INTEGER = re.compile("0|-?[1-9][0-9]*")
_PHONE = re.compile("[0-9 +()-]*")
_PHONE_NUMBER = re.compile(r"(?<!\d)(?:\d[ ().+/-]{0,3}){9}")
"""As it looks (`NFKC`). Fewer digits may be years, or the number of a house."""
_SENTENCE = re.compile(r"[:;!?](?:\s+\S+){4}")
HIGHEST_ID = 2**63 - 1
MOST_WORDS = 12
LONGEST_NAME = 150
"""Words of a name."""
LONGEST_TEXT = 10_000
"""Characters that are looked at. No field takes as many, and its `max_length` refuses more."""


@Hook
def holds_token(text: str) -> bool:
    """True if there is a token in the text, or the secret part of one."""
    raise NotImplementedError


def parse_id(text: str) -> int | None:
    """The id, if the text is one that a database can hold; None for any other text."""
    number = int(text) if _ID.fullmatch(text) else None
    return number if number is not None and is_id(number) else None


def id_in(text: str) -> int | None:
    """The id in what people copy: `123456789`, `123456789$…`, `123456789_…`, also in the wide
    digits of some keyboards; None for any other text."""
    return parse_id(unicodedata.normalize("NFKC", text).split("$")[0].split("_")[0].strip())


def is_integer(text: str) -> bool:
    """True for a whole number as JSON and the API's description write it."""
    return _INTEGER.fullmatch(text) is not None


def is_id(number: int) -> bool:
    """True for a number that a database can hold as an id."""
    return 0 <= number <= HIGHEST_ID


def validate_line(text: str) -> None:
    """Refuse text that is not one line: with control characters, line breaks, half characters.
    What is longer than any line is left to `max_length`."""
    if len(text) > LONGEST_TEXT:
        return
    if any(unicodedata.category(character) in _LINE_CATEGORIES for character in text):
        raise ValidationError(
            _("Remove line breaks and control characters. Only one line of text is allowed."),
            code="control_characters",
        )
    _refuse_direction(text)
    _refuse_token(text)


def validate_name(text: str) -> None:
    """Refuse a name that is no line, or would pass for an address or a sentence in a mail. What is
    too long for a name is left to `max_length`, which is asked besides: it may be very long."""
    if len(text) > LONGEST_NAME:
        return
    validate_line(text)
    if text:
        validate_visible(text)
    if has_link(text):
        raise ValidationError(
            _("Enter a name without a web or email address. Put a space after a period."),
            code="address",
        )
    if _PHONE_NUMBER.search(unicodedata.normalize("NFKC", text)):
        raise ValidationError(_("Enter a name without a phone number."), code="phone")
    if len(text.split()) > MOST_WORDS or _SENTENCE.search(text):
        raise ValidationError(_("Enter a name, not a sentence."), code="sentence")


def validate_paragraphs(text: str) -> None:
    """As `validate_line`, but line breaks and tabs are allowed."""
    if len(text) > LONGEST_TEXT:
        return
    if any(
        unicodedata.category(character) in {"Cc", "Cs"} and character not in "\r\n\t"
        for character in text
    ):
        raise ValidationError(_("Remove the control characters."), code="control_characters")
    _refuse_direction(text)
    _refuse_token(text)


def validate_phone(text: str) -> None:
    """Refuse characters that are in no phone number."""
    if not _PHONE.fullmatch(text):
        raise ValidationError(
            _("Use only digits, spaces and + ( ) - in the phone number."), code="phone"
        )


def validate_visible(text: str) -> None:
    """Refuse text without a visible character."""
    if not any(
        unicodedata.category(character)[0] in "LNPS" and character not in _BLANK
        for character in text
    ):
        raise ValidationError(_("Enter at least one visible character."), code="required")


def _refuse_direction(text: str) -> None:
    if _DIRECTION.search(text):
        raise ValidationError(
            _("Remove invisible characters that change the text direction."),
            code="direction_characters",
        )


def _refuse_token(text: str) -> None:
    """What people write is kept, listed, audited and mailed; a token is shown once."""
    if holds_token(text):
        raise ValidationError(
            _("Remove the token from this text: other people can read it."), code="token"
        )
