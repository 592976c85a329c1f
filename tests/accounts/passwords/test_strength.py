"""Which new passwords are refused, at every entry point, and how much that may cost."""

import string
import unicodedata
from typing import Any

import pytest
from django.core.exceptions import ValidationError
from django.core.management import call_command
from django.core.management.base import CommandError
from django.test import Client
from django.urls import reverse
from django.utils import translation
from zxcvbn import matching  # type: ignore[import-untyped]  # it has no types

from accounts.models import Membership, User
from accounts.passwords import strength
from accounts.passwords.policy import refuse_weak_password
from accounts.passwords.strength import (
    COMMON_WORDS,
    KNOWN_PASSWORDS,
    LONGEST_ESTIMATE,
    MOST_WAITING,
    StrengthValidator,
)
from accounts.throttling import password_hashing
from tests.factories import MembershipFactory

GUESSED = [
    "aaaaaaaaaaaa",
    "123456789012",
    "abcabcabcabc",
    "qwertyuiop12",
    "1qaz2wsx3edc",
    "P@ssw0rd1234",
    "iloveyou1234",
    "passwordpassword",
    "Permatoken2026!",
    "p3rm4t0k3n-2026",
    "permatoken-demo",
    "gfhjkmgfhjkm",  # "парольпароль" on a keyboard that is switched to English
    "администратор",
    "Администратор",
    "密码密码密码密码密码密码",
    "йцукенгшщзхъ",
    "ьщтлунвкфпщт",  # "monkeydragon" on a keyboard that is switched to Russian
    "ｐａｓｓｗｏｒｄ１２３４",
    "correct horse battery staple",
    "Willkommen2026!",
    "Fruehling2026!",
    "Привет2026!!",
    "Ghbdtn2026!!",
    "Azərbaycan2026",
    "woaini520131",
    "A" * 4000,
    "0123456789" * 30,
]
GOOD = [
    "swim marble tuesday copper",
    "xK9#mQ2$vL7!",
    "четыре слова без связи",
    "vier Wörter ohne Zusammenhang",
    "aaaaaaaaaaaa" * 3 + " swim marble tuesday copper",
    "swim marble tuesday copper " + "aaaaaaaaaaaa" * 3,
]
MARIA = {"email": "maria.schneider@zanzibar.example", "name": "Maria Lindqvist"}


def refusal(password: str, **facts: Any) -> list[str]:
    companies = facts.pop("companies", ())
    try:
        refuse_weak_password(password, User(**{**MARIA, **facts}), companies=companies)
    except ValidationError as refused:
        return [each.code or "" for each in refused.error_list]
    return []


@pytest.mark.parametrize("password", GUESSED, ids=lambda password: password[:20])
def test_password_that_is_soon_guessed_is_refused(password: str) -> None:
    assert "password_easy_to_guess" in refusal(password)


@pytest.mark.parametrize("password", GOOD, ids=lambda password: password[:20])
def test_good_password_is_taken(password: str) -> None:
    assert refusal(password) == []


@pytest.mark.parametrize(
    "password",
    [
        "Lindqvist2026",
        "zanzibar-2026!",
        "schneider12345",
        "Kilimandscharo24",
        "L1ndqv1st_2026",
        "KilimandscharoLtd2026!!",
        "Tokens.Example.Com1",
    ],
)
def test_words_that_an_attacker_knows_of_the_user_count_for_nothing(
    settings: Any, password: str
) -> None:
    settings.BASE_URL = "https://tokens.example.com"

    assert refusal(password, companies=["Kilimandscharo Ltd"]) != []


def test_same_words_are_as_good_as_others_for_somebody_else() -> None:
    assert refusal("Kilimandscharo24", companies=[]) == []


@pytest.mark.django_db
def test_companies_of_the_user_are_known(account: Any) -> None:
    account.name = "Kilimandscharo Ltd"
    account.save()
    user = MembershipFactory.create(account=account).user

    with pytest.raises(ValidationError):
        refuse_weak_password("Kilimandscharo24", user)


def test_length_counts_letters_as_they_are_stored() -> None:
    """Not code points of a decomposed form, which would be 24."""
    assert refusal(unicodedata.normalize("NFD", "äöüäöüäöüäö")) == ["password_too_short"]


def test_short_password_is_told_one_thing() -> None:
    assert refusal("xK9#mQ2$vL7") == ["password_too_short"]


def test_long_password_costs_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def estimate(part: str, _words: list[str]) -> dict[str, int]:
        asked.append(part)
        return {"guesses": 0}

    monkeypatch.setattr(strength, "zxcvbn", estimate)

    refusal("x" * 100_000)

    assert asked
    assert max(map(len, asked)) == LONGEST_ESTIMATE
    assert len(asked) <= 2


def test_no_password_has_many_combinations_of_letters_to_try() -> None:
    """Each of them is as much work as the whole password: 736 took half a second."""
    table = matching.relevant_l33t_subtable(string.printable, matching.L33T_TABLE)

    assert len(matching.enumerate_l33t_subs(table)) <= 32


def test_few_wait_for_an_estimate(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(strength._waiting, "_value", 0)

    with pytest.raises(password_hashing.TooBusy):
        StrengthValidator().validate("xK9#mQ2$vL7!")


def test_estimate_takes_no_place_from_those_who_sign_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(password_hashing._gate.queue, "_value", 0)

    StrengthValidator().validate("xK9#mQ2$vL7!")

    assert strength._waiting._value == MOST_WAITING


def test_common_words_are_as_they_are_compared() -> None:
    lines = COMMON_WORDS.read_text(encoding="utf-8").splitlines()[1:]

    assert [word for word in lines if unicodedata.normalize("NFKC", word).lower() != word] == []
    assert len(set(lines)) == len(lines) > 100


def test_known_passwords_could_be_chosen() -> None:
    lines = KNOWN_PASSWORDS.read_text(encoding="utf-8").splitlines()
    known = [line for line in lines if not line.startswith("# ")]

    assert len(known) > 200
    assert [each for each in known if len(each) < 12 or each != each.lower()] == []
    assert [each for each in known if unicodedata.normalize("NFC", each) != each] == []


@pytest.mark.parametrize("language", ["de", "ru", "az", "zh-hans"])
def test_sentence_says_what_to_do_in_every_language(language: str) -> None:
    english = StrengthValidator().get_help_text()

    with translation.override(language):
        assert StrengthValidator().get_help_text() != english


# --- Entry points ---------------------------------------------------------------------------------


@pytest.mark.django_db
def test_sign_up_knows_the_new_company(client: Client) -> None:
    filled_in = {"account_name": "Kilimandscharo Ltd", "name": "", "email": "new@example.com"}

    answer = client.post(reverse("account_signup"), {**filled_in, "password1": "Kilimandscharo24"})

    assert [each.code for each in answer.context["form"].errors.as_data()["password1"]] == [
        "password_easy_to_guess"
    ]
    assert not User.objects.exists()


@pytest.mark.django_db
def test_sign_up_is_estimated_once(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []

    def estimate(part: str, _words: list[str]) -> dict[str, int]:
        asked.append(part)
        return {"guesses": 10**12}

    monkeypatch.setattr(strength, "zxcvbn", estimate)
    filled_in = {"account_name": "Kilimandscharo Ltd", "name": "", "email": "new@example.com"}

    client.post(reverse("account_signup"), {**filled_in, "password1": "swim marble tuesday"})

    assert User.objects.filter(email="new@example.com").exists()
    assert asked == ["swim marble tuesday"]


@pytest.mark.django_db
def test_command_refuses_too(user: Membership, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin.readline", lambda: "aaaaaaaaaaaa\n", raising=False)

    with pytest.raises(CommandError, match="easy to guess"):
        call_command("changepassword", user.user.email, password_stdin=True)
