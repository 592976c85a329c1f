"""The page that DEBUG shows for an error holds nothing that the request is trusted by."""

import sys
from collections.abc import Callable
from html import unescape
from typing import Any

import pytest
from django.db import DatabaseError
from django.http import HttpRequest
from django.test import Client, RequestFactory
from django.urls import reverse
from django.views.debug import technical_500_response
from psycopg.conninfo import make_conninfo
from pytest_django import Settings

from accounts.models import Membership
from tests.factories import PASSWORD

pytestmark = pytest.mark.django_db

TYPED = "lla 'meht' fo ssäp hsifdrowS"[::-1]
"""Backwards: the page shows lines of the source."""
PART = TYPED[1:9]
Steps = Callable[[Client, Membership], Any]


def fail(*_args: Any, **_facts: Any) -> Any:
    raise RuntimeError("broken")


def fail_in_the_database(*_args: Any, **_facts: Any) -> Any:
    raise DatabaseError("broken")


def sign_up(client: Client, _user: Membership) -> Any:
    form = {"account_name": "Globex", "email": "ann@example.com", "password1": TYPED}
    return client.post(reverse("account_signup"), form)


def sign_in(client: Client, user: Membership) -> Any:
    form = {"login": user.user.email, "password": TYPED}
    return client.post(reverse("account_login"), form)


FAULTS: dict[str, tuple[str, Steps]] = {
    "hash of a new password": ("tests.hashers.CheapArgon2.encode", sign_up),
    "strength of a new password": (
        "accounts.passwords.strength.StrengthValidator.validate",
        sign_up,
    ),
    "spelling of a new password": ("accounts.models.user.normal_password", sign_up),
    "hash of a password": ("tests.hashers.CheapArgon2.verify", sign_in),
    "spelling of a password": ("accounts.models.user.forms_to_check", sign_in),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_page_of_an_error_holds_no_typed_password(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, user: Membership, fault: str
) -> None:
    target, steps = FAULTS[fault]
    settings.DEBUG = True
    monkeypatch.setattr(target, fail)

    answer = steps(Client(raise_request_exception=False), user)

    assert answer.status_code == 500
    told = unescape(answer.content.decode())
    assert "broken" in told
    assert PART not in told


def test_page_of_an_error_holds_no_key_of_a_session(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, user: Membership
) -> None:
    client = Client(raise_request_exception=False)
    client.post(reverse("account_login"), {"login": user.user.email, "password": PASSWORD})
    key = client.cookies[settings.SESSION_COOKIE_NAME].value
    settings.DEBUG = True
    monkeypatch.setattr("accounts.http.session_backend.SessionStore.decode", fail_in_the_database)

    answer = client.get(reverse("accounts:profile"))

    assert answer.status_code == 500
    assert key not in answer.content.decode()


@pytest.mark.parametrize(
    "secret", ["pass-it's-so", r"pass-back\slash", "two words", 'pass-dou"ble', "pass<b>&amp"]
)
@pytest.mark.parametrize("accept", ["text/html", "text/plain"])
def test_page_of_an_error_holds_no_password_of_the_database(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, secret: str, accept: str
) -> None:
    """psycopg has its own spelling of it."""
    settings.DEBUG = True
    monkeypatch.setitem(settings.DATABASES["default"], "PASSWORD", secret)

    told = _report(RequestFactory().get("/", headers={"Accept": accept}), secret)

    assert "db.internal" in told
    assert [tail for tail in (secret[-5:], secret[:5]) if tail in told] == []


@pytest.mark.parametrize("accept", ["text/html", "text/plain"])
def test_page_of_an_error_holds_no_password_of_a_call(settings: Settings, accept: str) -> None:
    settings.DEBUG = True
    request = RequestFactory().post(
        "/iam/auth/jwt/login",
        {"username": "ann@example.com", "password": TYPED},
        content_type="application/json",
        headers={"Accept": accept},
    )

    told = _report(request, TYPED)

    assert "db.internal" in told
    assert PART not in told


def _report(request: HttpRequest, secret: str) -> str:
    try:
        _connect(make_conninfo(host="db.internal", password=secret))
    except RuntimeError:
        answer = technical_500_response(request, *sys.exc_info())
    return unescape(answer.content.decode())


def _connect(conninfo: str) -> None:
    held = [conninfo, f"'{conninfo}\""]
    raise RuntimeError(f"{len(held)} {conninfo} does not answer")


def test_body_that_is_nested_too_deeply_is_no_fault_of_the_report(settings: Settings) -> None:
    settings.DEBUG = True
    request = RequestFactory().post("/", "[" * 100_000, content_type="application/json")
    try:
        fail()
    except RuntimeError:
        answer = technical_500_response(request, *sys.exc_info())

    assert "broken" in answer.content.decode()
