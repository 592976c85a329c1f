"""Validator of new passwords: nothing that a list of attackers has, or that their tools guess soon.

Django's validators refuse what is short, like the user, or among 20,000 common passwords, of which
few have twelve characters. zxcvbn (Wheeler, USENIX Security 2016) estimates how many guesses a tool
needs that knows words, names, keyboards, dates and repetitions. NIST SP 800-63B (3.1.1.2) asks for
a blocklist with the names of the service and the user besides.
"""

import re
import unicodedata
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from threading import BoundedSemaphore, Lock
from urllib.parse import urlsplit

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db.models import Q
from django.utils.translation import gettext as _
from django.views.decorators.debug import sensitive_variables
from zxcvbn import (  # type: ignore[import-untyped]  # it has no types
    matching,
    zxcvbn,
)

from accounts.models import Account, User
from accounts.text.passwords import LONGEST_PASSWORD, normal_password
from accounts.throttling.password_hashing import TooBusy
from accounts.throttling.threads import SHARES

FEWEST_CHARACTERS = 12
"""A shorter password is refused by its length, which says more."""
ENOUGH_GUESSES = 10**10
"""zxcvbn's highest score: too many even for those who have stolen the hash, which is a slow one."""
LONGEST_ESTIMATE = 32
"""Characters handed to zxcvbn: its time grows with their square."""
MOST_WAITING = SHARES.estimating
"""Threads that wait for an estimate or make one. It is pure Python, which holds up all others."""
PRODUCT = "permatoken"
MOST_WORDS = 50
KNOWN_PASSWORDS = Path(__file__).with_name("known_passwords.txt")
COMMON_WORDS = Path(__file__).with_name("common_words.txt")

_WORD = re.compile(r"\w{3,40}")
_SEPARATORS = re.compile(r"[\W_]+")
_TO_QWERTY = str.maketrans("йцукенгшщзхъфывапролджэячсмитьбюё", "qwertyuiop[]asdfghjkl;'zxcvbnm,.`")
_SUBSTITUTES = {"c": ["("], "g": ["9"], "i": ["1", "!"], "l": ["1"], "x": []}
"""For letters that zxcvbn takes more for. It tries all combinations that a password allows: with
its own table half a second of them for one password, with this one a hundredth or two."""

matching.L33T_TABLE.update(_SUBSTITUTES)
# zxcvbn keeps the words of a call in a table of the module.
_one_at_a_time = Lock()
_waiting = BoundedSemaphore(MOST_WAITING)


class StrengthValidator:
    """Refuses passwords that are easy to guess."""

    @sensitive_variables()
    def validate(self, password: str, user: User | None = None) -> None:
        """Raises `ValidationError`, and `TooBusy` if too many passwords wait already."""
        password = normal_password(password)
        if len(password) >= FEWEST_CHARACTERS and not _is_hard_to_guess(password, user):
            raise ValidationError(self.get_help_text(), code="password_easy_to_guess")

    def get_help_text(self) -> str:
        return _(
            "This password is easy to guess. Use four unrelated words, or let a password manager "
            "generate one. Avoid your name and the names of your company and this portal."
        )


@sensitive_variables()
def _is_hard_to_guess(password: str, user: User | None) -> bool:
    if not _known_passwords().isdisjoint(_spellings(password)):
        return False
    words = list(dict.fromkeys(_words(user)))[:MOST_WORDS]
    # The end is asked only where the beginning alone is too little.
    parts = dict.fromkeys([password[:LONGEST_ESTIMATE], password[-LONGEST_ESTIMATE:]])
    if not _waiting.acquire(blocking=False):
        raise TooBusy
    try:
        with _one_at_a_time:
            return any(_takes_long(part, words) for part in parts)
    finally:
        _waiting.release()


@sensitive_variables()
def _takes_long(part: str, words: list[str]) -> bool:
    """True if each form of the part takes enough guesses: as it is, and by the keys of a Russian
    keyboard."""
    _add_common_words()
    plain = unicodedata.normalize("NFKC", part)[:LONGEST_ESTIMATE]
    forms = [plain]
    if _is_cyrillic(plain):
        forms.append(plain.lower().translate(_TO_QWERTY))
    return all(zxcvbn(form, words)["guesses"] >= ENOUGH_GUESSES for form in forms)


def _is_cyrillic(text: str) -> bool:
    return any("\u0400" <= each <= "\u04ff" for each in text)


@sensitive_variables()
def _spellings(password: str) -> list[str]:
    """How a list may have it: in small letters of the common kind, also without what is between."""
    plain = unicodedata.normalize("NFKC", password[:LONGEST_PASSWORD]).lower()
    return [password.lower(), plain, _SEPARATORS.sub("", plain)]


def _words(user: User | None) -> Iterator[str]:
    """Words that an attacker tries first: the portal's, the user's, and their companies', as they
    are and joined."""
    texts = [PRODUCT, urlsplit(settings.BASE_URL).hostname or ""]
    if user is not None:
        texts += [user.name, user.email, *user.future_companies, *_companies(user)]
    for text in (unicodedata.normalize("NFKC", text).lower() for text in texts if text):
        yield from _WORD.findall(text)
        yield text
        yield _SEPARATORS.sub("", text)


def _companies(user: User) -> list[str]:
    """The names of the accounts that the user belongs to, or is invited to."""
    if user._state.adding:
        return []
    invited = Q(
        invitations__user=user,
        invitations__accepted_at__isnull=True,
        invitations__withdrawn_at__isnull=True,
    )
    theirs = Account.objects.filter(Q(memberships__user=user) | invited)
    return list(theirs.distinct().values_list("name", flat=True)[:MOST_WORDS])


@cache
def _known_passwords() -> frozenset[str]:
    return frozenset(_lines(KNOWN_PASSWORDS))


@cache
def _add_common_words() -> None:
    """Have zxcvbn know them, also as they come out of a keyboard that is switched to English."""
    words = _lines(COMMON_WORDS)
    typed = [word.translate(_TO_QWERTY) for word in words]
    matching.add_frequency_lists({"portal": list(dict.fromkeys([*words, *typed]))})


def _lines(path: Path) -> list[str]:
    lines = path.read_text(encoding="utf-8").splitlines()
    return [line for line in lines if not line.startswith("# ")]
