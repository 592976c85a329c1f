"""What a stranger's session is: a signed cookie, until there is something to keep to ourselves."""

import random
import string
from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from allauth.socialaccount.internal.statekit import STATES_SESSION_KEY
from allauth.usersessions.models import UserSession
from django.conf import settings
from django.contrib.sessions.models import Session
from django.core import signing
from django.test import Client
from django.urls import reverse

from accounts.http.session_backend import LIFE, LONGEST, SessionStore
from accounts.models import Membership
from tests.accounts.sign_in.passkeys import Passkey
from tests.accounts.sign_in.test_passkeys import SIGN_IN, add_passkey, challenge, is_signed_in
from tests.factories import PASSWORD, CertificateFactory, ConnectionFactory

pytestmark = pytest.mark.django_db


@pytest.fixture
def slug(administrator: Membership) -> str:
    connection = ConnectionFactory.create(account=administrator.account)
    CertificateFactory.create(connection=connection)
    return str(connection.slug)


def begin(client: Client, slug: str, **query: str) -> str:
    """The cookie after a way to a provider was begun."""
    assert client.get(reverse("sso:begin", args=[slug]), query).status_code == 302
    return client.cookies[settings.SESSION_COOKIE_NAME].value


def test_requests_to_providers_are_kept_by_the_browser(client: Client, slug: str) -> None:
    begin(client, slug)
    begin(client, slug)
    assert len(client.session[STATES_SESSION_KEY]) == 2
    assert not Session.objects.exists()


def test_sign_in_makes_a_row_under_a_new_name(client: Client, slug: str, user: Membership) -> None:
    """Who has planted a session in a browser does not know the one that is signed in."""
    planted = begin(client, slug)
    form = {"login": user.user.email, "password": PASSWORD}
    assert client.post(reverse("account_login"), form).status_code == 302
    name = client.cookies[settings.SESSION_COOKIE_NAME].value
    assert name != planted
    assert Session.objects.get().session_key == name
    assert UserSession.objects.get().session_key == name  # by which its owner can end it
    assert STATES_SESSION_KEY in client.session
    client.post(reverse("account_logout"))
    assert not Session.objects.exists()


def test_what_no_cookie_can_hold_is_not_kept() -> None:
    store = SessionStore()
    store[STATES_SESSION_KEY] = "".join(random.choices(string.ascii_letters, k=5_000))
    store.save()
    assert store.session_key
    assert len(store.session_key) < LONGEST
    assert not SessionStore(store.session_key).keys()
    assert not Session.objects.exists()


@pytest.mark.parametrize("how", ["old", "forged", "foreign", "\0:" * 9, ":", "a:b:c", ":" * 9_000])
def test_cookie_that_is_not_ours_or_old_is_an_empty_session(
    client: Client, slug: str, how: str
) -> None:
    cookie = begin(client, slug)
    values = {"forged": f"{cookie[:-1]}_", "old": cookie, "foreign": signing.dumps({"a": 1})}
    client.cookies[settings.SESSION_COOKIE_NAME] = values.get(how, how)
    later = datetime.now(UTC) + (2 * LIFE if how == "old" else timedelta())
    with time_machine.travel(later):
        assert client.get(reverse("account_login")).status_code == 200
        assert not client.session.keys()
        assert client.get(reverse("home")).status_code == 302


def test_nothing_but_what_may_be_read_and_brought_back_stays_with_the_browser() -> None:
    store = SessionStore()
    store["password_reset_key"] = "secret"
    store.save()
    assert store.session_key
    assert store.session_key.isalnum()
    assert Session.objects.filter(session_key=store.session_key).exists()
    del store["password_reset_key"]
    store.save()
    assert not Session.objects.exists()


def test_passkey_answers_a_challenge_once(client: Client, user: Membership) -> None:
    """Also if somebody brings back the cookie that the challenge is in."""
    passkey: Passkey = add_passkey(user)
    answer = passkey.answer(challenge(client))
    cookie = client.cookies[settings.SESSION_COOKIE_NAME].value
    client.post(SIGN_IN, {"credential": answer})
    assert is_signed_in(client)
    other = Client()
    other.cookies[settings.SESSION_COOKIE_NAME] = cookie
    other.post(SIGN_IN, {"credential": answer})
    assert not is_signed_in(other)
