"""Validator of new passwords: nothing that a list of attackers has, or that their tools guess soon.

Django's validators refuse what is short, like the user, or among 20,000 common passwords, of which
few have twelve characters. zxcvbn (Wheeler, USENIX Security 2016) estimates how many guesses a tool
needs that knows words, names, keyboards, dates and repetitions. NIST SP 800-63B (3.1.1.2) asks for
a blocklist with the names of the service and the user besides.
"""

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from threading import Lock
from urllib.parse import urlsplit

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db.models import Q
from django.utils.translation import gettext as _
from django.views.decorators.debug import sensitive_variables
from zxcvbn import zxcvbn  # type: ignore[import-untyped]  # it has no types

from accounts.models import Account, User
from accounts.text.passwords import normal_password
from accounts.throttling import password_hashing

FEWEST_CHARACTERS = 12
"""A shorter password is refused by its length, which says more."""
ENOUGH_GUESSES = 10**10
"""zxcvbn's highest score: too many even for those who have stolen the hash, which is a slow one."""
LONGEST_ESTIMATE = 32
"""Characters handed to zxcvbn: its time grows with their square, to 0.2 s for 32 of the worst."""
PRODUCT = "permatoken"
MOST_WORDS = 50
KNOWN_PASSWORDS = Path(__file__).with_name("known_passwords.txt")

_WORD = re.compile(r"\w{3,40}")
# zxcvbn keeps the words of a call in a table of the module.
_one_at_a_time = Lock()


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
            "This password is easy to guess. Take four words that do not belong together, or let a "
            "password manager make one. Leave out your name, your company's and the portal's."
        )


@sensitive_variables()
def _is_hard_to_guess(password: str, user: User | None) -> bool:
    if password.lower() in _known_passwords():
        return False
    words = list(_words(user))[:MOST_WORDS]
    # The end is asked only where the beginning alone is too little.
    parts = dict.fromkeys([password[:LONGEST_ESTIMATE], password[-LONGEST_ESTIMATE:]])
    with password_hashing.place(), _one_at_a_time:
        return any(zxcvbn(part, words)["guesses"] >= ENOUGH_GUESSES for part in parts)


def _words(user: User | None) -> Iterator[str]:
    """Words that an attacker tries first: the portal's, the user's, and their companies'."""
    texts = [PRODUCT, urlsplit(settings.BASE_URL).hostname or ""]
    if user is not None:
        texts += [user.name, user.email, *user.future_companies, *_companies(user)]
    for text in texts:
        yield from (word.lower() for word in _WORD.findall(text))


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
    lines = KNOWN_PASSWORDS.read_text(encoding="utf-8").splitlines()
    return frozenset(line for line in lines if not line.startswith("# "))
