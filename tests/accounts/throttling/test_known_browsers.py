"""Strangers' tries keep nobody out of a browser of their own, and open no way around a rule."""

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from unittest.mock import patch

import pytest
import time_machine
from django.conf import settings as portal
from django.core.cache import cache
from django.core.signing import TimestampSigner
from django.test import Client, RequestFactory
from django.urls import reverse

from accounts.authorization.actor import Actor, EntryPoint
from accounts.models import AuditEvent, Membership
from accounts.throttling import rate_limits, sign_in_limits
from accounts.throttling.known_browsers import LIFE, MOST_PEOPLE, browser_of
from accounts.users import services as user_services
from tests.accounts.jwt.conftest import LOGIN as JWT_LOGIN
from tests.accounts.jwt.conftest import log_in, post
from tests.accounts.sign_in.test_mfa import code_at, give_app
from tests.accounts.sign_in.test_passwords import ask, open_link, set_password
from tests.factories import PASSWORD, MembershipFactory

pytestmark = pytest.mark.django_db

COOKIE = portal.KNOWN_BROWSER_COOKIE_NAME
TOO_MANY = "Too many failed attempts"
OPERATOR = Actor.operator(through=EntryPoint.COMMAND)


def give(client: Client, member: Membership, password: str = PASSWORD, at: str = "10.9.9.9") -> Any:
    form = {"login": member.user.email, "password": password}
    return client.post(reverse("account_login"), form, REMOTE_ADDR=at)


def is_in(answer: Any) -> bool:
    return bool(answer.status_code == 302)


def known_browser(*members: Membership) -> Client:
    """A browser with which these people have signed in, and out again."""
    client = Client()
    for member in members:
        assert is_in(give(client, member))
        client.post(reverse("account_logout"))
    return client


def strangers_try(member: Membership, times: int = 6) -> None:
    """Wrong passwords, each from another address."""
    for number in range(times):
        give(Client(), member, "wrong", at=f"10.0.0.{number}")


def test_owner_comes_in_with_their_browser_whatever_strangers_try(user: Membership) -> None:
    own = known_browser(user)
    strangers_try(user)
    assert TOO_MANY in give(Client(), user, at="10.0.1.1").content.decode()
    assert is_in(give(own, user, at="10.0.1.1"))


def test_owner_comes_in_from_a_network_that_may_try_no_more(user: Membership) -> None:
    own = known_browser(user)
    for number in range(21):
        other = {"login": f"nobody{number}@example.com", "password": "wrong"}
        Client().post(reverse("account_login"), other, REMOTE_ADDR="10.0.0.1")
    assert TOO_MANY in give(Client(), user, at="10.0.0.1").content.decode()
    assert is_in(give(own, user, at="10.0.0.1"))


def test_known_browser_has_five_tries_too_which_are_nobody_elses(user: Membership) -> None:
    own = known_browser(user)
    for _try in range(5):
        give(own, user, "wrong")
    assert TOO_MANY in give(own, user).content.decode()
    assert is_in(give(Client(), user))


def test_browser_of_one_person_is_unknown_to_another(
    user: Membership, engineer: Membership
) -> None:
    of_engineer, of_both = known_browser(engineer), known_browser(engineer, user)
    strangers_try(user)
    assert TOO_MANY in give(of_engineer, user).content.decode()
    assert is_in(give(of_both, user))


def test_people_share_a_browser_but_not_without_end(account: Any) -> None:
    people = MembershipFactory.create_batch(MOST_PEOPLE + 1, account=account)
    shared = known_browser(*people)
    request = RequestFactory().get("/")
    request.COOKIES = {name: morsel.value for name, morsel in shared.cookies.items()}
    known = [browser_of(request, each.user) is not None for each in people]
    assert known == [False] + [True] * MOST_PEOPLE


def test_link_for_a_new_password_can_be_asked_for(user: Membership) -> None:
    own, page = known_browser(user), reverse("account_reset_password")
    form = {"email": user.user.email}
    told = [Client().post(page, form, REMOTE_ADDR="10.0.0.1").status_code for _try in range(4)]
    assert told == [302] * 3 + [429]
    assert own.post(page, form).status_code == 302


def test_second_factor_has_tries_of_its_own(user: Membership) -> None:
    """Nobody's wrong passwords use them up, and not the wrong codes of one who knows it."""
    own = known_browser(user)
    give_app(user.user)
    thief, page = Client(), reverse("mfa_authenticate")
    assert give(thief, user)["Location"] == page
    assert give(own, user)["Location"] == page
    strangers_try(user)
    for number in range(6):
        told = thief.post(page, {"code": f"00000{number}"}).content.decode()
    assert TOO_MANY in told
    assert is_in(own.post(page, {"code": code_at(datetime.now(UTC))}))
    assert TOO_MANY in thief.post(page, {"code": "000000"}).content.decode()


def test_codes_are_counted_for_pages_and_the_api_together(user: Membership) -> None:
    give_app(user.user)
    thief, page = Client(), reverse("mfa_authenticate")
    give(thief, user)
    for number in range(3):
        thief.post(page, {"code": f"00000{number}"})
    told = [log_in(user.user.email, one_time_password="0").status_code for _try in range(3)]
    assert told == [400, 400, 429]


def test_success_with_a_second_factor_gives_a_network_no_tries_back(
    user: Membership, engineer: Membership
) -> None:
    give_app(engineer.user)
    for number in range(20):
        other = {"login": f"nobody{number}@example.com", "password": "wrong"}
        Client().post(reverse("account_login"), other, REMOTE_ADDR="10.0.0.1")
    own = Client(REMOTE_ADDR="10.0.0.1")
    give(own, engineer, at="10.0.0.2")
    assert is_in(own.post(reverse("mfa_authenticate"), {"code": code_at(datetime.now(UTC))}))
    assert TOO_MANY in give(Client(), user, at="10.0.0.1").content.decode()


def test_who_is_signed_in_gives_the_password_again(user: Membership) -> None:
    client, page = Client(), reverse("account_reauthenticate")
    give(client, user)
    strangers_try(user)
    told = [client.post(page, {"password": "wrong"}).content.decode() for _try in range(6)]
    assert [TOO_MANY in each for each in told] == [False] * 5 + [True]
    cache.clear()
    strangers_try(user)
    assert is_in(client.post(page, {"password": PASSWORD}))


def test_passkey_can_be_used_in_a_network_that_may_try_no_more(user: Membership) -> None:
    own, page = known_browser(user), reverse("mfa_login_webauthn")
    told = [Client().post(page, {"credential": "{}"}).status_code for _try in range(11)]
    assert told == [302] * 10 + [429]
    assert own.post(page, {"credential": "{}"}).status_code == 302


def test_nobody_signs_in_more_often_than_once_a_second_for_long(user: Membership) -> None:
    limit = sign_in_limits.SIGN_INS
    assert (limit.times, limit.per) == (60, timedelta(minutes=1))
    # Redis counts by its own clock: a busy machine may need a minute for so many.
    lasting = replace(limit, times=6, per=timedelta(hours=1))
    with patch.object(sign_in_limits, "SIGN_INS", lasting):
        own = known_browser(user)
        for _time in range(6):
            assert is_in(give(own, user))
            own.post(reverse("account_logout"))
        assert not is_in(give(own, user))
        assert [is_in(give(Client(), user)) for _try in range(6)] == [True] * 5 + [False]


# --- A refused try costs nothing -----------------------------------------------------------------


def page_try(email: str) -> Any:
    form = {"login": email, "password": "wrong"}
    return Client().post(reverse("account_login"), form, REMOTE_ADDR="10.0.0.1")


def jwt_try(email: str) -> Any:
    facts = {"username": email, "password": "wrong"}
    return post(JWT_LOGIN, facts, REMOTE_ADDR="10.0.0.1")


def reset_try(email: str) -> Any:
    form = {"email": email}
    return Client().post(reverse("account_reset_password"), form, REMOTE_ADDR="10.0.0.1")


@pytest.mark.parametrize(("attempt", "often"), [(page_try, 20), (jwt_try, 20), (reset_try, 10)])
def test_refused_network_spends_nobodys_tries_and_writes_nothing(
    user: Membership, attempt: Callable[[str], Any], often: int
) -> None:
    for number in range(often):
        attempt(f"nobody{number}@example.com")
    kept = AuditEvent.objects.count()
    with patch.object(rate_limits, "cache", wraps=cache) as spied:
        for _try in range(10):
            attempt(user.user.email)
    assert {call[0] for call in spied.method_calls} == {"get_many"}
    assert AuditEvent.objects.count() == kept
    if attempt is jwt_try:
        assert log_in(user.user.email).status_code == 200
    else:
        assert is_in(give(Client(), user))


# --- What the cookie is --------------------------------------------------------------------------


def test_cookie_is_kept_from_scripts_and_for_long(user: Membership) -> None:
    morsel = known_browser(user).cookies[COOKIE]
    assert (morsel["httponly"], morsel["samesite"], morsel["path"]) == (True, "Lax", "/")
    assert morsel["max-age"] == int(LIFE.total_seconds())
    assert user.user.email not in morsel.value


def test_cookie_is_made_by_a_sign_in_alone(user: Membership) -> None:
    client = Client()
    client.get(reverse("account_login"))
    give(client, user, "wrong")
    give_app(user.user)
    give(client, user)  # the second factor is still to be given
    assert COOKIE not in client.cookies


def test_cookie_signs_nobody_in(user: Membership) -> None:
    own = known_browser(user)
    assert own.get(reverse("home"), follow=True).request["PATH_INFO"] == reverse("account_login")
    assert not is_in(give(own, user, "wrong"))


@pytest.mark.parametrize("how", ["password", "age", "forged", "other key", "long", "odd"])
def test_cookie_ends_with_the_password_and_cannot_be_made(user: Membership, how: str) -> None:
    own = known_browser(user)
    value, now = own.cookies[COOKIE].value, datetime.now(UTC)
    if how == "password":
        user_services.set_password(user=user.user, password=PASSWORD, by=OPERATOR, at=now)
    if how == "forged":
        own.cookies[COOKIE] = f"{value[:-1]}{'a' if value[-1] != 'a' else 'b'}"
    if how == "other key":
        own.cookies[COOKIE] = TimestampSigner(key="x", salt="x").sign(f"{user.user_id}.abc")
    if how in ("long", "odd"):
        own.cookies[COOKIE] = value + "|" * 2_000 if how == "long" else "²|.|-1.|9" + "9" * 99
    with time_machine.travel(now + (LIFE + timedelta(days=1) if how == "age" else timedelta())):
        strangers_try(user)
        assert TOO_MANY in give(own, user).content.decode()


def test_own_change_of_password_keeps_the_browser_known(user: Membership) -> None:
    client, new = Client(), "another long pass phrase"
    give(client, user)
    form = {"oldpassword": PASSWORD, "password1": new, "password2": new}
    assert is_in(client.post(reverse("account_change_password"), form))
    client.post(reverse("account_logout"))
    strangers_try(user)
    assert is_in(give(client, user, new))


def test_new_password_by_mail_gives_all_tries_back(user: Membership) -> None:
    strangers_try(user)
    user_services.set_password(user=user.user, password=PASSWORD, by=OPERATOR, at=datetime.now(UTC))
    assert TOO_MANY in give(Client(), user).content.decode()
    client, new = Client(), "yet another long phrase"
    ask(client, user.user.email)
    set_password(client, open_link(client, user.user.email), new)
    assert is_in(give(Client(), user, new))
