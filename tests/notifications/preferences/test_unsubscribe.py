"""The page behind "Stop these mails": no sign-in, one setting, and no change by a mere look."""

from datetime import datetime, timedelta

import pytest
import time_machine
from django.core import signing
from django.test import Client
from pytest_django import Settings

from accounts.models import Membership
from notifications.kinds import TOKEN_CHANGED_BY_OTHERS, TOKEN_EXPIRING, Channel
from notifications.models import Preference
from notifications.preferences import unsubscribe
from notifications.preferences.services import settings_of
from notifications.recipients import Person
from tests.conftest import SignIn

pytestmark = pytest.mark.django_db

ONE_CLICK = {"List-Unsubscribe": "One-Click"}
BASE = "/notifications/unsubscribe/"


def person(member: Membership) -> Person:
    return Person(member.user_id, member.account_id)


def path_for(member: Membership) -> str:
    link = unsubscribe.link(person(member), TOKEN_EXPIRING, email=member.user.email)
    return link.removeprefix("http://localhost:8000")


def gets(member: Membership) -> list[tuple[str, Channel]]:
    """What the member is told by which channel."""
    return [key for key, is_on in settings_of(person(member)).is_on.items() if is_on]


def test_the_page_says_whose_which_mails_about_which_account_stop(
    client: Client, user: Membership
) -> None:
    page = client.get(path_for(user)).content.decode()
    assert user.user.email in page
    assert "API token is expiring" in page
    assert user.account.name in page
    assert ">Unsubscribe<" in page


def test_looking_at_the_page_changes_nothing(client: Client, user: Membership) -> None:
    """Mail filters open every link."""
    for ask in (client.get, client.head):
        assert ask(path_for(user)).status_code == 200
    assert not Preference.objects.exists()


@pytest.mark.parametrize("content_type", ["urlencoded", "multipart"])
def test_one_click_of_a_mail_program_stops_them(user: Membership, content_type: str) -> None:
    """RFC 8058: no cookie, no token, one of two content types."""
    program = Client(enforce_csrf_checks=True)
    answer = (
        program.post(path_for(user), ONE_CLICK)
        if content_type == "multipart"
        else program.post(
            path_for(user),
            "List-Unsubscribe=One-Click",
            content_type="application/x-www-form-urlencoded",
        )
    )
    assert answer.status_code == 200
    assert "Unsubscribed" in answer.content.decode()
    assert (TOKEN_EXPIRING.code, Channel.EMAIL) not in gets(user)


def test_only_this_kind_and_channel_stop(client: Client, user: Membership) -> None:
    before = gets(user)
    client.post(path_for(user), ONE_CLICK)
    assert set(before) - set(gets(user)) == {(TOKEN_EXPIRING.code, Channel.EMAIL)}
    assert (TOKEN_CHANGED_BY_OTHERS.code, Channel.EMAIL) in gets(user)
    assert settings_of(person(user)).allows_any


def test_nobody_elses_mails_stop(
    client: Client, user: Membership, administrator: Membership, sign_in: SignIn
) -> None:
    """It does not matter who is signed in: the link decides whose mails they are."""
    sign_in(client, administrator)
    client.post(path_for(user), ONE_CLICK)
    assert (TOKEN_EXPIRING.code, Channel.EMAIL) in gets(administrator)
    assert (TOKEN_EXPIRING.code, Channel.EMAIL) not in gets(user)


def test_stopping_is_idempotent(client: Client, user: Membership) -> None:
    for _ in range(2):
        assert client.post(path_for(user), ONE_CLICK).status_code == 200
    assert Preference.objects.count() == 1


def test_afterwards_the_page_says_stopped_and_leads_to_the_settings(
    client: Client, user: Membership
) -> None:
    client.post(path_for(user), ONE_CLICK)
    page = client.get(path_for(user)).content.decode()
    assert "Unsubscribed" in page
    assert ">Unsubscribe<" not in page
    assert f"/accounts/{user.account_id}/notifications/settings/" in page


def test_a_person_who_left_can_still_stop_them(
    client: Client, user: Membership, now: datetime
) -> None:
    Membership.objects.filter(pk=user.pk).update(removed_at=now)
    assert client.post(path_for(user), ONE_CLICK).status_code == 200


def test_the_page_is_not_kept_and_tells_no_other_server(client: Client, user: Membership) -> None:
    answer = client.get(path_for(user))
    assert "no-store" in answer["Cache-Control"]
    assert answer["Referrer-Policy"] == "strict-origin"


def test_links_of_before_a_change_of_the_secret_key_still_work(
    client: Client, user: Membership, settings: Settings
) -> None:
    path = path_for(user)
    settings.SECRET_KEY_FALLBACKS = [settings.SECRET_KEY]
    settings.SECRET_KEY = "another one, of the same length or longer than the first was"
    assert client.get(path).status_code == 200


# --- Links that do not work --------------------------------------------------------------------


def refused(client: Client, path: str) -> None:
    for answer in (client.get(path), client.post(path, ONE_CLICK)):
        assert answer.status_code == 400
        page = answer.content.decode()
        assert "This link doesn't work" in page
        assert "Nothing was changed" in page
    assert not Preference.objects.exists()


def test_a_link_is_good_for_a_year(client: Client, user: Membership, now: datetime) -> None:
    path = path_for(user)
    with time_machine.travel(now + timedelta(days=364)):
        assert client.get(path).status_code == 200


def test_a_link_of_a_former_version_is_good(client: Client, user: Membership) -> None:
    """It does not say to which address it was mailed."""
    signed = signing.dumps([*person(user), TOKEN_EXPIRING.code], salt=unsubscribe.SALT)
    assert client.get(f"{BASE}{signed}/").status_code == 200


def test_an_older_link_is_refused(client: Client, user: Membership, now: datetime) -> None:
    path = path_for(user)
    with time_machine.travel(now + timedelta(days=366)):
        refused(client, path)


@pytest.mark.parametrize("place", [0, 5, 20, 24, 30, 40, -5])
def test_a_tampered_link_is_refused(client: Client, user: Membership, place: int) -> None:
    signed = path_for(user).removeprefix(BASE).removesuffix("/")
    characters = list(signed)
    characters[place] = "A" if characters[place] != "A" else "B"
    refused(client, f"{BASE}{''.join(characters)}/")


@pytest.mark.parametrize("length", [1, 10, 35, 60, 70])
def test_a_cut_link_is_refused(client: Client, user: Membership, length: int) -> None:
    signed = path_for(user).removeprefix(BASE).removesuffix("/")
    refused(client, f"{BASE}{signed[:length]}/")


@pytest.mark.parametrize(
    "signed", ["x", "a:b:c", ":::", "%00", "%F0%9F%91%A9", "..", "x" * 5000, "WzEsMV0:1:x", "%FF"]
)
def test_nonsense_is_refused(client: Client, signed: str, db: None) -> None:
    refused(client, f"{BASE}{signed}/")


def test_the_signature_of_another_link_opens_nothing(
    client: Client, user: Membership, administrator: Membership
) -> None:
    mine = path_for(user).removeprefix(BASE).removesuffix("/").split(":")
    theirs = path_for(administrator).removeprefix(BASE).removesuffix("/").split(":")
    refused(client, f"{BASE}{theirs[0]}:{mine[1]}:{mine[2]}/")


def test_what_was_signed_for_another_purpose_is_refused(client: Client, user: Membership) -> None:
    signed = signing.dumps([*person(user), TOKEN_EXPIRING.code], salt="something else")
    refused(client, f"{BASE}{signed}/")


@pytest.mark.parametrize("change", ["user", "account", "kind"])
def test_a_link_about_what_is_no_more_is_refused(
    client: Client, user: Membership, change: str
) -> None:
    facts = {"user": user.user_id, "account": user.account_id, "kind": TOKEN_EXPIRING.code}
    facts[change] = "gone" if change == "kind" else 987_654_321
    signed = signing.dumps(list(facts.values()), salt=unsubscribe.SALT, compress=True)
    refused(client, f"{BASE}{signed}/")


@pytest.mark.parametrize("method", ["put", "patch", "delete"])
def test_other_methods_are_refused(client: Client, user: Membership, method: str) -> None:
    assert getattr(client, method)(path_for(user)).status_code == 405
    assert not Preference.objects.exists()
