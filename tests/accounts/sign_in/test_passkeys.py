"""Passkeys sign in their owner, and nobody who holds another key or replays an answer."""

from datetime import timedelta
from typing import Any

import pytest
from allauth.mfa.models import Authenticator
from django.test import Client
from django.utils import timezone
from pytest_django import Settings
from time_machine import TimeMachineFixture

from accounts.models import AuditEvent, Membership
from tests.accounts.sign_in.passkeys import Passkey
from tests.factories import ACCOUNT_ID, PASSWORD

pytestmark = pytest.mark.django_db

LIST = f"/accounts/{ACCOUNT_ID}/api-tokens/"
SIGN_IN = "/sign-in/passkey/"
SECOND_STEP = "/sign-in/second-factor/"
ADD = "/profile/security/passkeys/add/"
AGAIN = "/sign-in/again/passkey/"


def challenge_of(client: Client) -> str:
    return str(client.session["mfa.webauthn.state"]["challenge"])


def add_passkey(member: Membership, **facts: Any) -> Passkey:
    client = Client()
    client.force_login(member.user)
    client.post("/sign-in/again/", {"password": PASSWORD, "next": ADD})
    client.get(ADD)
    passkey = Passkey(member.user, **facts)
    answer = client.post(ADD, {"name": "Key", "credential": passkey.made(challenge_of(client))})
    assert answer.status_code == 302
    return passkey


def challenge(client: Client) -> str:
    """What the sign-in page asks a passkey to sign."""
    client.get(SIGN_IN, headers={"X-Requested-With": "XMLHttpRequest"})
    return challenge_of(client)


def second_challenge(client: Client, member: Membership) -> str:
    """What the second step asks for, after the password."""
    client.post("/sign-in/", {"login": member.user.email, "password": PASSWORD})
    client.get(SECOND_STEP)
    return challenge_of(client)


def is_signed_in(client: Client) -> bool:
    return client.get(LIST).status_code == 200


def test_passkey_alone_lets_in(client: Client, user: Membership) -> None:
    passkey = add_passkey(user)
    client.post(SIGN_IN, {"credential": passkey.answer(challenge(client))})
    assert is_signed_in(client)
    event = AuditEvent.objects.newest_first().filter(kind="sign_in.succeeded")[0]
    assert (event.user, event.details["auth_type"]) == (user.user, "passkey")


def test_key_that_asks_for_no_pin_lets_nobody_in_alone(client: Client, user: Membership) -> None:
    passkey = add_passkey(user, checks_person=False)
    client.post(SIGN_IN, {"credential": passkey.answer(challenge(client))})
    assert not is_signed_in(client)


def test_key_that_asks_for_no_pin_is_a_second_factor(client: Client, user: Membership) -> None:
    passkey = add_passkey(user, checks_person=False)
    credential = passkey.answer(second_challenge(client, user))
    client.post(SECOND_STEP, {"credential": credential})
    assert is_signed_in(client)


def test_key_that_was_found_lets_nobody_in_with_the_challenge_of_a_second_step(
    client: Client, user: Membership, stranger: Membership, time_machine: TimeMachineFixture
) -> None:
    """The finder has a user of their own, whose second step wants no PIN, and waits until the
    portal has forgotten that they were about to sign in."""
    found = add_passkey(user, checks_person=False)
    add_passkey(stranger)
    weaker = second_challenge(client, stranger)
    time_machine.move_to(timezone.now() + timedelta(hours=1))
    client.post(SIGN_IN, {"credential": found.answer(weaker)})
    assert not is_signed_in(client)


def test_nobody_signs_in_as_another_person(
    client: Client, user: Membership, stranger: Membership
) -> None:
    passkey = add_passkey(stranger)
    add_passkey(user)
    client.post(SIGN_IN, {"credential": passkey.answer(challenge(client), of=user.user)})
    assert not is_signed_in(client)


def test_passkey_of_another_person_is_no_second_factor(
    client: Client, user: Membership, stranger: Membership
) -> None:
    passkey = add_passkey(stranger)
    add_passkey(user)
    credential = passkey.answer(second_challenge(client, user))
    client.post(SECOND_STEP, {"credential": credential})
    assert not is_signed_in(client)


def test_passkey_of_another_person_proves_nothing(
    client: Client, user: Membership, stranger: Membership
) -> None:
    passkey = add_passkey(stranger)
    add_passkey(user)
    client.force_login(user.user)
    client.get(AGAIN)
    client.post(AGAIN, {"credential": passkey.answer(challenge_of(client)), "next": ADD})
    assert client.get(ADD)["Location"].startswith("/sign-in/again/")


def test_answer_that_was_overheard_is_good_no_more(client: Client, user: Membership) -> None:
    credential = add_passkey(user).answer(challenge(client))
    client.post(SIGN_IN, {"credential": credential})
    client.post("/sign-out/")
    client.post(SIGN_IN, {"credential": credential})
    assert not is_signed_in(client)


def test_answer_is_good_in_one_browser_only(client: Client, user: Membership) -> None:
    credential = add_passkey(user).answer(challenge(Client()))
    challenge(client)
    client.post(SIGN_IN, {"credential": credential})
    assert not is_signed_in(client)


def test_switched_off_person_does_not_get_in(client: Client, user: Membership) -> None:
    passkey = add_passkey(user)
    user.user.is_active = False
    user.user.save()
    answer = client.post(SIGN_IN, {"credential": passkey.answer(challenge(client))})
    assert answer["Location"] == "/sign-in/inactive/"
    assert not is_signed_in(client)


# --- Which page has asked ------------------------------------------------------------------------

OTHER_PAGES = (
    "http://localhost:9999",
    "http://x.localhost:8000",
    "http://localhost",
    "https://localhost:8000",
    "http://localhost:8000.example.com",
    "http://localhost:8000/",
    "HTTP://LOCALHOST:8000",
    "",
)


@pytest.fixture
def base_url(settings: Settings) -> None:
    settings.PASSKEY_ORIGINS = ["http://localhost:8000"]


@pytest.fixture
def passkey(base_url: None, user: Membership) -> Passkey:
    return add_passkey(user, origin="http://localhost:8000")


def test_passkey_that_a_page_of_the_portal_asks_for_lets_in(
    client: Client, passkey: Passkey
) -> None:
    client.post(SIGN_IN, {"credential": passkey.answer(challenge(client))})
    assert is_signed_in(client)


@pytest.mark.parametrize("page", OTHER_PAGES)
def test_passkey_that_another_page_asks_for_lets_nobody_in(
    client: Client, passkey: Passkey, page: str
) -> None:
    passkey.origin = page
    client.post(SIGN_IN, {"credential": passkey.answer(challenge(client))})
    assert not is_signed_in(client)


@pytest.mark.parametrize("page", OTHER_PAGES)
def test_passkey_that_another_page_asks_for_is_no_second_factor(
    client: Client, passkey: Passkey, user: Membership, page: str
) -> None:
    passkey.origin = page
    credential = passkey.answer(second_challenge(client, user))
    client.post(SECOND_STEP, {"credential": credential})
    assert not is_signed_in(client)


@pytest.mark.parametrize("page", OTHER_PAGES)
def test_passkey_that_another_page_asks_for_proves_nothing(
    client: Client, passkey: Passkey, user: Membership, page: str
) -> None:
    passkey.origin = page
    client.force_login(user.user)
    client.get(AGAIN)
    client.post(AGAIN, {"credential": passkey.answer(challenge_of(client)), "next": ADD})
    assert client.get(ADD)["Location"].startswith("/sign-in/again/")


@pytest.mark.parametrize("page", OTHER_PAGES)
def test_passkey_that_another_page_asks_for_is_not_added(
    client: Client, base_url: None, user: Membership, page: str
) -> None:
    client.force_login(user.user)
    client.post("/sign-in/again/", {"password": PASSWORD, "next": ADD})
    client.get(ADD)
    made = Passkey(user.user, origin=page).made(challenge_of(client))
    assert client.post(ADD, {"name": "Key", "credential": made}).status_code == 200
    assert not Authenticator.objects.filter(user=user.user).exists()


def test_operator_lists_other_pages(client: Client, passkey: Passkey, settings: Settings) -> None:
    settings.PASSKEY_ORIGINS = ["http://localhost:8000", "http://localhost:9999"]
    passkey.origin = "http://localhost:9999"
    client.post(SIGN_IN, {"credential": passkey.answer(challenge(client))})
    assert is_signed_in(client)
