"""E-mail and password, with two factors a code too, get a pair of short-lived tokens."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import time_machine
from allauth.account.models import EmailAddress
from allauth.mfa.models import Authenticator
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.totp.internal.auth import TOTP, format_hotp_value, generate_totp_secret, hotp_value
from django.core.cache import cache
from django.utils import timezone
from pytest_django import Settings

from accounts.models import AuditEvent, Membership, TokenFamily, User
from tests.accounts.jwt.conftest import (
    LOGIN,
    NO_ACCOUNT,
    PairOf,
    log_in,
    post,
    with_access,
)
from tests.factories import PASSWORD, MembershipFactory

pytestmark = pytest.mark.django_db

CODE = "one_time_password"


@pytest.fixture
def app_secret(user: Membership) -> str:
    """The user has an authenticator app, with this secret."""
    secret: str = generate_totp_secret()
    TOTP.activate(user.user, secret)
    return secret


@pytest.fixture
def travelling_cache(settings: Settings) -> Iterator[None]:
    """A cache that goes by this process's clock. Redis goes by its own."""
    backend = "django.core.cache.backends.locmem.LocMemCache"
    settings.CACHES = {"default": {"BACKEND": backend, "LOCATION": "travelling"}}
    yield
    cache.clear()


def code_of(secret: str, at: datetime) -> str:
    return str(format_hotp_value(hotp_value(secret, int(at.timestamp()) // 30)))


def test_person_gets_a_pair_that_works(user: Membership, pair_of: PairOf) -> None:
    told = with_access(pair_of(user)["access"]).get("/iam/users/me")
    assert (told.status_code, told.json()["id"]) == (200, user.user_id)


def test_answer_is_kept_by_no_cache(user: Membership) -> None:
    assert log_in(user.user.email)["Cache-Control"] == "no-store"


def test_address_is_read_in_any_case(user: Membership) -> None:
    assert log_in(f" {user.user.email.upper()} ").status_code == 200


def test_first_account_is_chosen(user: Membership, pair_of: PairOf) -> None:
    MembershipFactory.create(user=user.user)
    told = with_access(pair_of(user)["access"]).get("/iam/clients/me")
    assert told.json()["id"] == user.account_id


def test_account_that_is_closed_is_passed_over(user: Membership, pair_of: PairOf) -> None:
    other = MembershipFactory.create(user=user.user)
    user.account.closed_at = timezone.now()
    user.account.save()
    told = with_access(pair_of(user)["access"]).get("/iam/clients/me")
    assert told.json()["id"] == other.account_id


def refused(answer: Any) -> None:
    """Told in the very same words, whatever was wrong."""
    assert answer.status_code == 400
    assert answer.json() == {
        "message": "The request is not valid: see errors.",
        "errors": {"errors": [NO_ACCOUNT]},
    }
    assert not TokenFamily.objects.exists()


@pytest.mark.parametrize("password", ["wrong", PASSWORD.upper(), f"{PASSWORD} ", "x" * 4096])
def test_wrong_password_is_refused(user: Membership, password: str) -> None:
    refused(log_in(user.user.email, password))


@pytest.mark.parametrize(
    "email", ["nobody@example.com", "pеrson0@example.com", "nonsense", "a@b", "x" * 254]
)
def test_address_of_nobody_is_refused(user: Membership, email: str) -> None:
    refused(log_in(email))


def test_user_who_is_switched_off_is_refused(user: Membership) -> None:
    User.objects.update(is_active=False)
    refused(log_in(user.user.email))


def test_person_without_any_account_is_refused(user: Membership) -> None:
    Membership.objects.update(removed_at=timezone.now())
    refused(log_in(user.user.email))


def test_person_who_was_invited_and_has_no_password_is_refused(user: Membership) -> None:
    user.user.set_unusable_password()
    user.user.save()
    refused(log_in(user.user.email))


def test_address_that_was_not_confirmed_is_refused(user: Membership) -> None:
    EmailAddress.objects.update(verified=False)
    refused(log_in(user.user.email))


# --- Two factors -------------------------------------------------------------------------------


def test_who_has_two_factors_is_asked_for_a_code(user: Membership, app_secret: str) -> None:
    answer = log_in(user.user.email)
    assert answer.status_code == 400
    assert answer.json()["errors"] == {
        CODE: ["Also send a code from your authenticator app, or a recovery code."]
    }


def test_code_of_the_app_lets_its_owner_in(user: Membership, app_secret: str) -> None:
    code = code_of(app_secret, timezone.now())
    assert log_in(user.user.email, one_time_password=code).status_code == 200


def test_code_does_not_make_up_for_the_password(user: Membership, app_secret: str) -> None:
    code = code_of(app_secret, timezone.now())
    refused(log_in(user.user.email, "wrong", one_time_password=code))


@pytest.mark.parametrize("seconds", [1, 31, 61])
def test_code_is_good_once(user: Membership, app_secret: str, seconds: int) -> None:
    now = datetime(2027, 1, 1, tzinfo=UTC)
    code = code_of(app_secret, now)
    with time_machine.travel(now, tick=False):
        assert log_in(user.user.email, one_time_password=code).status_code == 200
    with time_machine.travel(now + timedelta(seconds=seconds), tick=False):
        answer = log_in(user.user.email, one_time_password=code)
    assert (answer.status_code, list(answer.json()["errors"])) == (400, [CODE])


@pytest.mark.parametrize("code", ["000000", "1", "abcdef", "１２３４５６", "0" * 64, "' OR 1=1"])
def test_wrong_code_is_refused(user: Membership, app_secret: str, code: str) -> None:
    with time_machine.travel(datetime(2027, 1, 1, tzinfo=UTC), tick=False):
        assert code_of(app_secret, timezone.now()) != code
        answer = log_in(user.user.email, one_time_password=code)
    assert (answer.status_code, list(answer.json()["errors"])) == (400, [CODE])
    assert not TokenFamily.objects.exists()


def test_recovery_code_lets_its_owner_in_once(user: Membership, app_secret: str) -> None:
    code = RecoveryCodes.activate(user.user).get_unused_codes()[0]
    assert log_in(user.user.email, one_time_password=code).status_code == 200
    assert log_in(user.user.email, one_time_password=code).status_code == 400


def test_recovery_code_is_not_spent_on_a_wrong_password(user: Membership, app_secret: str) -> None:
    code = RecoveryCodes.activate(user.user).get_unused_codes()[0]
    log_in(user.user.email, "wrong", one_time_password=code)
    assert log_in(user.user.email, one_time_password=code).status_code == 200


def test_who_has_a_passkey_only_is_not_let_in_by_the_password_alone(user: Membership) -> None:
    Authenticator.objects.create(user=user.user, type=Authenticator.Type.WEBAUTHN, data={})
    assert log_in(user.user.email).status_code == 400
    assert log_in(user.user.email, one_time_password="123456").status_code == 400


def test_codes_cannot_be_tried_out(user: Membership, app_secret: str) -> None:
    """Not even slowly: five wrong ones in five minutes."""
    now = datetime(2027, 1, 1, tzinfo=UTC)
    for number in range(5):
        with time_machine.travel(now + timedelta(seconds=40 * number), tick=False):
            assert log_in(user.user.email, one_time_password="0").status_code == 400
    with time_machine.travel(now + timedelta(seconds=240), tick=False):
        answer = log_in(user.user.email, one_time_password=code_of(app_secret, timezone.now()))
    assert answer.status_code == 429


@pytest.mark.usefixtures("travelling_cache")
def test_right_code_gives_its_owner_all_tries_again(user: Membership, app_secret: str) -> None:
    now = datetime(2027, 1, 1, tzinfo=UTC)
    told = []
    for number in range(10):
        with time_machine.travel(now + timedelta(seconds=29 * number), tick=False):
            right = code_of(app_secret, timezone.now())
            code = right if number == 4 else "0"
            told.append(log_in(user.user.email, one_time_password=code).status_code)
    assert told == [400] * 4 + [200] + [400] * 5


# --- Limits ------------------------------------------------------------------------------------


def test_after_five_tries_a_minute_everybody_waits(user: Membership) -> None:
    for _try in range(5):
        assert log_in(user.user.email, "wrong").status_code == 400
    answer = log_in(user.user.email)
    assert answer.status_code == 429
    assert 1 <= int(answer["Retry-After"]) <= 60
    assert answer.json()["message"].startswith("Too many attempts. Try again in ")


@pytest.mark.usefixtures("travelling_cache")
def test_waiting_as_long_as_told_is_enough(user: Membership) -> None:
    now = datetime(2027, 1, 1, tzinfo=UTC)
    with time_machine.travel(now, tick=False):
        for _try in range(5):
            log_in(user.user.email, "wrong")
        wait = int(log_in(user.user.email)["Retry-After"])
    with time_machine.travel(now + timedelta(seconds=wait, milliseconds=1), tick=False):
        assert log_in(user.user.email).status_code == 200


def test_limit_does_not_tell_who_is_known(user: Membership) -> None:
    for email in (user.user.email, "nobody@example.com"):
        told = [log_in(email, "wrong").status_code for _try in range(6)]
        assert told == [400] * 5 + [429]


def test_limit_is_not_stretched_by_spelling_the_address_otherwise(user: Membership) -> None:
    email = user.user.email
    told = [log_in(each, "wrong").status_code for each in (email, email.upper(), f" {email}") * 2]
    assert told == [400] * 5 + [429]


def test_others_are_not_held_up(user: Membership, administrator: Membership) -> None:
    for _try in range(6):
        log_in(user.user.email, "wrong")
    assert log_in(administrator.user.email).status_code == 200


def test_one_address_cannot_try_many_people(user: Membership) -> None:
    for number in range(20):
        log_in(f"nobody{number}@example.com")
    assert log_in(user.user.email).status_code == 429
    answer = post(
        LOGIN, {"username": user.user.email, "password": PASSWORD}, REMOTE_ADDR="192.0.2.7"
    )
    assert answer.status_code == 200


def test_neighbours_in_one_ipv6_network_are_one_address(user: Membership) -> None:
    body = {"username": "nobody@example.com", "password": PASSWORD}
    for number in range(20):
        post(
            LOGIN, body | {"username": f"n{number}@example.com"}, REMOTE_ADDR=f"2001:db8::{number}"
        )
    body["username"] = user.user.email
    assert post(LOGIN, body, REMOTE_ADDR="2001:db8::ffff").status_code == 429
    assert post(LOGIN, body, REMOTE_ADDR="2001:db8:0:1::1").status_code == 200


# --- The record --------------------------------------------------------------------------------


def test_sign_in_is_on_the_record(user: Membership) -> None:
    post(
        LOGIN,
        {"username": user.user.email, "password": PASSWORD},
        REMOTE_ADDR="192.0.2.7",
        HTTP_USER_AGENT="curl/8",
    )
    event = AuditEvent.objects.get(kind="sign_in.succeeded")
    assert (event.user, event.subject_id, event.address) == (user.user, user.user_id, "192.0.2.7")
    assert event.details == {"auth_type": "jwt", "user_agent": "curl/8"}
    issued = AuditEvent.objects.get(kind="jwt.issued")
    assert (issued.account_id, issued.user) == (user.account_id, user.user)


def test_refused_try_is_on_the_record_of_whom_it_was_tried_for(user: Membership) -> None:
    log_in(user.user.email, "wrong")
    event = AuditEvent.objects.get(kind="sign_in.refused")
    assert (event.user, event.subject_id) == (None, user.user_id)
    assert event.details["code"] == "bad_credentials"


def test_sign_in_counts_as_the_last_one(user: Membership, pair_of: PairOf) -> None:
    pair_of(user)
    user.user.refresh_from_db()
    assert user.user.last_login is not None


def test_neither_password_nor_tokens_are_in_the_record(user: Membership) -> None:
    pair = log_in(user.user.email).json()
    log_in(user.user.email, "hunter2hunter2")
    told = str(list(AuditEvent.objects.values()))
    assert not [each for each in (*pair.values(), PASSWORD, "hunter2hunter2") if each in told]
