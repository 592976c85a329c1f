"""Sessions: where a user is signed in, and signing out there."""

import pytest
from allauth.usersessions.models import UserSession
from django.test import Client
from django.urls import reverse
from pytest_django import Settings
from rest_framework.test import APIClient

from accounts.http.user_agents import browser_name
from accounts.models import AuditEvent, Membership
from apitokens import keys
from config.env.networks import parse_networks
from tests.factories import PASSWORD

pytestmark = pytest.mark.django_db

URL = "/profile/security/"
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"
CHROME = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) "
    "Chrome/126.0.0.0 Safari/537.36"
)
EDGE = f"{CHROME} Edg/126.0.0.0"
IPHONE = (
    "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 "
    "(KHTML, like Gecko) Version/17.5 Mobile/15E148 Safari/604.1"
)


def browser_of(member: Membership, user_agent: str = FIREFOX) -> Client:
    client = Client(HTTP_USER_AGENT=user_agent)
    client.post("/sign-in/", {"login": member.user.email, "password": PASSWORD})
    return client


def is_signed_in(client: Client) -> bool:
    return client.get(URL).status_code == 200


def session_of(client: Client) -> UserSession:
    found: UserSession = UserSession.objects.get(session_key=client.session.session_key)
    return found


def test_page_shows_every_browser(user: Membership) -> None:
    here = browser_of(user)
    browser_of(user, IPHONE)
    page = here.get(URL).content.decode()
    assert "Firefox on Linux" in page
    assert "Safari on iPhone" in page


def test_client_whose_address_is_unknown_signs_in_and_is_shown_without_one(
    user: Membership, settings: Settings
) -> None:
    settings.TRUSTED_PROXIES = parse_networks(["127.0.0.1"])
    page = browser_of(user).get(reverse("mfa_index")).content.decode()
    assert "Firefox on Linux" in page
    assert "0.0.0.0" not in page
    signed_in = AuditEvent.objects.get(kind="sign_in.succeeded")
    assert signed_in.address is None


def test_clients_whose_address_is_unknown_share_their_tries(
    client: Client, settings: Settings
) -> None:
    settings.TRUSTED_PROXIES = parse_networks(["127.0.0.1", "192.0.2.0/24"])
    for number in range(20):
        client.post(
            reverse("account_login"),
            {"login": f"n{number}@example.com", "password": "x"},
            REMOTE_ADDR=f"192.0.2.{number}",
        )
    credentials = {"login": "last@example.com", "password": "x"}
    unknown = client.post(reverse("account_login"), credentials)
    known = client.post(reverse("account_login"), credentials, REMOTE_ADDR="203.0.113.5")
    assert "Too many" in unknown.content.decode()
    assert "Too many" not in known.content.decode()


def test_page_shows_no_browser_of_others(user: Membership, administrator: Membership) -> None:
    browser_of(administrator, IPHONE)
    assert "iPhone" not in browser_of(user).get(URL).content.decode()


def test_person_signs_out_in_another_browser(user: Membership) -> None:
    here, there, third = browser_of(user), browser_of(user, CHROME), browser_of(user, EDGE)
    here.post(f"{URL}sessions/{session_of(there).pk}/end/")
    assert [is_signed_in(each) for each in (here, there, third)] == [True, False, True]


def test_person_signs_out_everywhere_else(user: Membership) -> None:
    here, there, third = browser_of(user), browser_of(user, CHROME), browser_of(user, EDGE)
    here.post(f"{URL}sessions/end/")
    assert [is_signed_in(each) for each in (here, there, third)] == [True, False, False]


def test_signing_out_elsewhere_leaves_an_event(user: Membership) -> None:
    here, _there = browser_of(user), browser_of(user, CHROME)
    here.post(f"{URL}sessions/end/")
    assert AuditEvent.objects.filter(kind="session.ended", user=user.user).count() == 1


def test_nobody_signs_others_out(user: Membership, administrator: Membership) -> None:
    victim, attacker = browser_of(user), browser_of(administrator)
    answer = attacker.post(f"{URL}sessions/{session_of(victim).pk}/end/")
    attacker.post(f"{URL}sessions/end/")
    assert answer.status_code == 404
    assert is_signed_in(victim)


@pytest.mark.parametrize("path", ["sessions/end/", "sessions/1/end/"])
def test_link_alone_signs_nobody_out(user: Membership, path: str) -> None:
    here, there = browser_of(user), browser_of(user, CHROME)
    assert here.get(f"{URL}{path}").status_code == 405
    assert is_signed_in(there)


@pytest.mark.parametrize(
    ("user_agent", "name"),
    [
        (FIREFOX, "Firefox on Linux"),
        (CHROME, "Chrome on Windows"),
        (EDGE, "Edge on Windows"),
        (IPHONE, "Safari on iPhone"),
        ("curl/8.5.0", "curl/8.5.0"),
        ("Mozilla/5.0 (X11; Linux x86_64) Something/1.0", "Unknown browser on Linux"),
        ("", ""),
    ],
)
def test_browsers_are_called_what_people_call_them(user_agent: str, name: str) -> None:
    assert browser_name(user_agent) == name


def test_token_in_the_user_agent_is_neither_kept_nor_shown(administrator: Membership) -> None:
    key = keys.make(730114528)
    secret = key.spell("_").partition("_")[2]
    for agent in (f"deploy/1 APIKey {key.spell('_')}", f"{'x' * 150} {secret}"):
        client = browser_of(administrator, agent)
        sent = {"username": administrator.user.email, "password": PASSWORD}
        headers = {"User-Agent": agent}
        APIClient().post(reverse("api-login"), sent, format="json", headers=headers)

        page = client.get(URL).content.decode()
        log = reverse("accounts:audit_log", args=[administrator.account_id])
        page += client.get(log).content.decode()
        kept = [*AuditEvent.objects.values_list("details"), session_of(client).user_agent]
        assert key.secret[:16] not in page + str(kept)
    assert session_of(browser_of(administrator, "deploy/1")).user_agent == "deploy/1"
