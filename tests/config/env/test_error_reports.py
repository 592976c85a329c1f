"""The page that DEBUG shows for an error holds no secret."""

import sys
from typing import Any

import pytest
from django.conf import settings as portal_settings
from django.http import HttpResponse
from django.test import RequestFactory
from django.views.debug import technical_500_response
from django.views.decorators.debug import sensitive_variables
from pytest_django import Settings

from apitokens import keys
from config.env.error_reports import hide

REDIS, DATABASE, MAIL = "swordfish/1", "p@ss w0rd", "tr0ub4dor&3"
REDIS_URL = "redis://:swordfish%2F1@cache.internal:6379/0"
DATABASE_URL = "postgres://permatoken:p%40ss%20w0rd@db.internal:5432/permatoken"
EMAIL_URL = "smtp+tls://user:tr0ub4dor%263@mail.example.com:587"
SPELLINGS = (REDIS, DATABASE, MAIL, "swordfish%2F1", "p%40ss%20w0rd", "tr0ub4dor%263", "&amp;3")
KEY = keys.make(771_142_358)
SIGNATURE = "sig-of-it"


@pytest.fixture(autouse=True)
def scaled(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """A portal with DEBUG whose environment and settings are full of passwords."""
    urls = {"REDIS_URL": REDIS_URL, "DATABASE_URL": DATABASE_URL, "EMAIL_URL": EMAIL_URL}
    for name, url in urls.items():
        monkeypatch.setenv(name, url)
    settings.DEBUG = True
    settings.REDIS_URL = settings.CELERY_BROKER_URL = REDIS_URL
    settings.EMAIL_HOST_PASSWORD = MAIL
    settings.SECRET_KEY_FALLBACKS = ["an-older-key-of-the-portal"]
    cache = dict(portal_settings.CACHES["default"])
    settings.CACHES = {"default": {**cache, "KEY_PREFIX": REDIS_URL}}


def report(*, accept: str = "text/html", **meta: Any) -> str:
    """The report of an error whose variables hold the same secrets."""
    request = RequestFactory().get("/", headers={"Accept": accept}, **meta)
    try:
        _fail(REDIS_URL, {"password": REDIS, "url": DATABASE_URL})
    except RuntimeError:
        answer: HttpResponse = technical_500_response(request, *sys.exc_info())
    return answer.content.decode()


def _fail(url: str, facts: dict[str, str]) -> None:
    held = [EMAIL_URL, KEY.spell()]
    raise RuntimeError(f"{url} does not answer, {len(held) + len(facts)} times")


every_form = pytest.mark.parametrize("accept", ["text/html", "text/plain"])


@every_form
def test_report_holds_no_password(accept: str) -> None:
    told = report(accept=accept, REDIS_URL=REDIS_URL, DATABASE_URL=DATABASE_URL)

    assert "does not answer" in told
    assert [secret for secret in SPELLINGS if secret in told] == []


@every_form
def test_report_holds_no_key_of_the_portal(accept: str) -> None:
    told = report(accept=accept)

    assert portal_settings.SECRET_KEY not in told
    assert "an-older-key-of-the-portal" not in told
    for pepper in portal_settings.TOKEN_PEPPERS.values():
        assert pepper.hex() not in told
        assert repr(pepper)[2:-1] not in told


@every_form
def test_report_holds_no_token_and_no_session(accept: str, settings: Settings) -> None:
    cookie = (
        f"{settings.SESSION_COOKIE_NAME}=abcdefgh12345678; {settings.CSRF_COOKIE_NAME}=zyxw9876"
    )

    told = report(accept=accept, HTTP_COOKIE=cookie, HTTP_AUTHORIZATION=f"APIKey {KEY.spell()}")

    assert KEY.secret not in told
    assert "abcdefgh12345678" not in told
    assert "zyxw9876" not in told


@every_form
def test_report_holds_no_signed_link(accept: str) -> None:
    request = RequestFactory().get(f"/invitations/WzEsInh5eiJd:1abcde:{SIGNATURE}/?next=/a/")
    request.META["HTTP_ACCEPT"] = accept
    try:
        raise RuntimeError("broken")
    except RuntimeError:
        told = technical_500_response(request, *sys.exc_info()).content.decode()

    assert SIGNATURE not in told


def test_what_a_function_calls_sensitive_is_hidden_with_debug_too() -> None:
    @sensitive_variables("pin")
    def act() -> None:
        pin = "8-5-2-0-1"
        raise RuntimeError(len(pin))

    try:
        act()
    except RuntimeError:
        told = technical_500_response(RequestFactory().get("/"), *sys.exc_info()).content.decode()

    assert "pin" in told
    assert "8-5-2-0-1&#x27;" not in told


def test_rest_of_a_url_is_told() -> None:
    """Who looks for a fault has to see where the portal looks."""
    assert "cache.internal:6379/0" in report()


@pytest.mark.parametrize(
    "name", ["sslpassword", "oauth_client_secret", "scram_client_key", "scram_server_key"]
)
def test_secrets_among_parameters_of_the_database_are_hidden(name: str, settings: Settings) -> None:
    url = f"{DATABASE_URL}?sslmode=require&{name}=topsecret%20word"
    options = {name: "topsecret word"}
    settings.DATABASES = {"default": {**portal_settings.DATABASES["default"], "OPTIONS": options}}

    told = hide(f"{url}: topsecret word")

    assert "topsecret" not in told
    assert "sslmode=require" in told
