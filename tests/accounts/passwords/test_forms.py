"""A password is the same on every keyboard, whichever form of its letters that sends."""

import unicodedata
from collections.abc import Callable
from typing import Any

import pytest
from django.contrib.auth import authenticate
from django.contrib.auth.hashers import check_password, make_password
from django.core.management import call_command
from django.test import Client
from django.urls import reverse
from hypothesis import given
from hypothesis import strategies as st

from accounts.models import Membership, User
from accounts.text.passwords import LONGEST_PASSWORD, forms_to_check, normal_password
from tests import hashers
from tests.factories import PASSWORD

NFC = "blå bärs-éclair gräs"
NFD = unicodedata.normalize("NFD", NFC)
FORMS = pytest.mark.parametrize(("stored", "typed"), [(NFC, NFD), (NFD, NFC), (NFD, NFD)])
WRONG = "fel lösenord, helt fel"


@pytest.fixture
def hashed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The passwords of all hashes that are made."""
    made: list[str] = []
    encode, verify = hashers.CheapArgon2.encode, hashers.CheapArgon2.verify

    def spy_encode(self: hashers.CheapArgon2, password: str, salt: str) -> str:
        made.append(password)
        return encode(self, password, salt)

    def spy_verify(self: hashers.CheapArgon2, password: str, encoded: str) -> bool:
        made.append(password)
        return verify(self, password, encoded)

    monkeypatch.setattr(hashers.CheapArgon2, "encode", spy_encode)
    monkeypatch.setattr(hashers.CheapArgon2, "verify", spy_verify)
    return made


@given(st.text())
def test_normal_form_is_one_and_final(typed: str) -> None:
    normal = normal_password(typed)

    assert normal_password(normal) == normal
    for form in ("NFC", "NFD"):
        assert normal_password(unicodedata.normalize(form, typed)) == normal


@pytest.mark.parametrize("typed", ["ﬁve ① wörds", "ＡＢＣ", "ſ", "İı", "a b"])
def test_passwords_that_look_different_stay_different(typed: str) -> None:
    assert normal_password(typed) == typed


def test_spaces_of_other_keyboards_are_spaces() -> None:
    assert normal_password("two\u00a0ö\u3000words") == "two ö words"


def test_text_that_nobody_types_is_left_alone() -> None:
    """Composing takes time that grows with the square of many accents on one letter."""
    typed = "a" + "\u0316\u0301" * LONGEST_PASSWORD
    assert normal_password(typed) is typed


Enter = Callable[[Client, Membership, str], bool]


def by_page(client: Client, member: Membership, password: str) -> bool:
    sent = {"login": member.user.email, "password": password}
    return client.post(reverse("account_login"), sent).status_code == 302


def by_api(client: Client, member: Membership, password: str) -> bool:
    sent = {"username": member.user.email, "password": password}
    path = "/iam/auth/jwt/login"
    return client.post(path, sent, content_type="application/json").status_code == 200


def by_reauthentication(client: Client, member: Membership, password: str) -> bool:
    client.force_login(member.user)
    sent = {"password": password}
    return client.post(reverse("account_reauthenticate"), sent).status_code == 302


def by_change(client: Client, member: Membership, password: str) -> bool:
    client.force_login(User.objects.get(pk=member.user_id))
    new = "another long pass phrase"
    sent = {"oldpassword": password, "password1": new, "password2": new}
    client.post(reverse("account_change_password"), sent)
    return check_password(new, User.objects.get(pk=member.user_id).password)


def set_by_command(member: Membership, password: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin.readline", lambda: f"{password}\n", raising=False)
    call_command("changepassword", member.user.email, password_stdin=True)


def set_by_form(member: Membership, password: str, _monkeypatch: pytest.MonkeyPatch) -> None:
    client = Client()
    client.force_login(member.user)
    sent = {"oldpassword": PASSWORD, "password1": password, "password2": password}
    assert client.post(reverse("account_change_password"), sent).status_code == 302


@pytest.mark.django_db
@FORMS
@pytest.mark.parametrize("enter", [by_page, by_api, by_reauthentication, by_change])
def test_either_form_lets_in(
    client: Client, user: Membership, enter: Enter, stored: str, typed: str
) -> None:
    user.user.set_password(stored)
    user.user.save()

    assert not enter(Client(), user, WRONG)
    assert enter(client, user, typed)


@pytest.mark.django_db
@pytest.mark.parametrize("set_it", [set_by_command, set_by_form])
def test_either_form_may_be_chosen(
    user: Membership, monkeypatch: pytest.MonkeyPatch, set_it: Callable[..., None]
) -> None:
    set_it(user, NFD, monkeypatch)

    user.user.refresh_from_db()
    assert check_password(NFC, user.user.password)
    assert by_page(Client(), user, NFD)


# --- Passwords that were stored as they were typed ------------------------------------------------


@pytest.fixture
def older(user: Membership) -> Membership:
    """A member whose password was hashed before passwords were composed."""
    User.objects.filter(pk=user.user_id).update(password=make_password(NFD))
    user.user.refresh_from_db()
    return user


@pytest.mark.django_db
@pytest.mark.parametrize("enter", [by_page, by_api])
def test_former_form_lets_in_and_is_composed(older: Membership, enter: Enter) -> None:
    client = Client()
    assert enter(client, older, NFD)

    older.user.refresh_from_db()
    assert check_password(NFC, older.user.password)
    assert enter(Client(), older, NFC)
    assert enter is by_api or client.get("/profile/").status_code == 200


@pytest.mark.django_db
def test_former_form_reauthenticates_without_ending_the_session(older: Membership) -> None:
    client = Client()
    assert by_reauthentication(client, older, NFD)

    assert client.get("/profile/").status_code == 200


@pytest.mark.django_db
def test_session_that_began_with_the_former_backend_goes_on(
    client: Client, user: Membership
) -> None:
    client.force_login(user.user, backend="allauth.account.auth_backends.AuthenticationBackend")

    assert client.get("/profile/").status_code == 200


@pytest.mark.django_db
def test_session_of_this_release_goes_on_in_the_one_before(
    client: Client, user: Membership, settings: Any
) -> None:
    """Its settings list allauth's backend alone."""
    by_page(client, user, PASSWORD)
    settings.AUTHENTICATION_BACKENDS = ["allauth.account.auth_backends.AuthenticationBackend"]

    assert client.get("/profile/").status_code == 200


@pytest.mark.django_db
def test_password_that_was_changed_meanwhile_stays(older: Membership) -> None:
    user = User.objects.get(pk=older.user_id)
    assert user.check_password(NFD)
    other = make_password("another long pass phrase")
    User.objects.filter(pk=user.pk).update(password=other)

    user.compose_password(NFD)

    assert User.objects.get(pk=user.pk).password == other


# --- The cost -------------------------------------------------------------------------------------


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("typed", "hashes"), [("wrong", 1), (WRONG, 1), (unicodedata.normalize("NFD", WRONG), 2)]
)
def test_wrong_password_costs_the_same_for_unknown_addresses(
    user: Membership, hashed: list[str], typed: str, hashes: int
) -> None:
    assert len(forms_to_check(typed)) == hashes
    for email in (user.user.email, "nobody@example.com"):
        hashed.clear()
        assert authenticate(None, email=email, password=typed) is None
        assert len(hashed) == hashes, email


@pytest.mark.django_db
def test_right_password_costs_one_hash(user: Membership, hashed: list[str]) -> None:
    assert authenticate(None, email=user.user.email, password=PASSWORD) == user.user

    assert len(hashed) == 1
