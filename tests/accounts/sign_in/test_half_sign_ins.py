"""A sign-in whose second factor is still to come ends with what ends all sessions."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from accounts.authorization.actor import Actor, EntryPoint
from accounts.models import AuditEvent, Membership, User
from accounts.sign_in import mfa
from accounts.sign_in import services as sign_in_services
from accounts.users import services as users
from tests.accounts.sign_in.test_mfa import code_at, give_app
from tests.factories import PASSWORD
from tests.outbox import mail_to, path_in

pytestmark = pytest.mark.django_db

OPERATOR = Actor.operator(through=EntryPoint.COMMAND)
OTHER_PASSWORD = "another long pass phrase"


@pytest.fixture
def half_signed_in(client: Client, engineer: Membership) -> Client:
    """A browser in which the engineer has given the password, and no code."""
    give_app(engineer.user)
    client.post(reverse("account_login"), {"login": engineer.user.email, "password": PASSWORD})
    return client


def give_code(client: Client) -> Any:
    return client.post(reverse("mfa_authenticate"), {"code": code_at(datetime.now(UTC))})


def is_signed_in(client: Client) -> bool:
    return "_auth_user_id" in client.session


def reset_password(user: User, _now: datetime) -> None:
    browser = Client()
    browser.post(reverse("account_reset_password"), {"email": user.email})
    form = browser.get(path_in(mail_to(user.email)))
    browser.post(form["Location"], {"password1": OTHER_PASSWORD, "password2": OTHER_PASSWORD})


def set_password(user: User, now: datetime) -> None:
    users.set_password(user=user, password=OTHER_PASSWORD, by=OPERATOR, at=now)


def deactivate_and_reactivate(user: User, now: datetime) -> None:
    users.deactivate_user(user=user, by=OPERATOR, at=now)
    users.reactivate_user(user=user, by=OPERATOR, at=now)


def replace_factor(user: User, now: datetime) -> None:
    mfa.disable(user=user, by=OPERATOR, at=now)
    give_app(user)


def change_address(user: User, now: datetime) -> None:
    sign_in_services.change_email(user=user, email="new@example.com", by=OPERATOR, at=now)


def end_other_sessions(user: User, _now: datetime) -> None:
    browser = Client()
    browser.force_login(user)
    browser.post(reverse("accounts:end_sessions"))


def remove_factor_in_person(user: User, _now: datetime) -> None:
    browser = Client()
    browser.force_login(user)
    browser.post(reverse("account_reauthenticate"), {"password": PASSWORD})
    browser.post(reverse("mfa_deactivate_totp"))
    give_app(user)


@pytest.mark.parametrize(
    "end",
    [
        reset_password,
        set_password,
        deactivate_and_reactivate,
        replace_factor,
        change_address,
        end_other_sessions,
        remove_factor_in_person,
    ],
)
def test_half_sign_in_ends_with_what_ends_sessions(
    half_signed_in: Client,
    engineer: Membership,
    now: datetime,
    end: Callable[[User, datetime], None],
) -> None:
    end(User.objects.get(pk=engineer.user_id), now)

    answer = give_code(half_signed_in)

    assert (answer.status_code, answer["Location"]) == (302, reverse("account_login"))
    page = half_signed_in.get(answer["Location"]).content.decode()
    assert "Your sign-in details were changed after you started signing in. Sign in again." in page
    assert not is_signed_in(half_signed_in)
    assert AuditEvent.objects.filter(details__code="ended_meanwhile").count() == 1
    give_code(half_signed_in)  # there is nothing to go on with
    assert not is_signed_in(half_signed_in)


def test_half_sign_in_goes_on_if_nothing_ended_it(half_signed_in: Client) -> None:
    give_code(half_signed_in)
    assert is_signed_in(half_signed_in)
    assert "sign_in_began_with" not in half_signed_in.session
