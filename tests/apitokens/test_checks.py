"""What operators hear from `manage.py check` before it hurts."""

import json
from ipaddress import ip_network
from pathlib import Path

import pytest
from django.core.checks import CheckMessage, run_checks
from pytest_django import Settings

from accounts.authorization.actor import Actor
from accounts.models import Membership
from apitokens import checks
from apitokens.tokens import services as token_services
from tests.conftest import Issue

OLD, NEW = b"o" * 32, b"n" * 32


def said(code: str) -> list[CheckMessage]:
    messages = run_checks(databases=["default"], include_deployment_checks=True)
    return [message for message in messages if message.id == code]


@pytest.mark.django_db
def test_pepper_that_tokens_still_need_may_not_be_missing(
    user: Membership, issue: Issue, settings: Settings
) -> None:
    settings.TOKEN_PEPPERS = {4: OLD}
    issue(user)
    settings.TOKEN_PEPPERS = {5: NEW}
    (message,) = said("apitokens.E001")
    assert "pepper 4" in message.msg
    assert message.is_serious()


@pytest.mark.django_db
def test_all_peppers_that_tokens_need_are_there(
    user: Membership, issue: Issue, settings: Settings
) -> None:
    settings.TOKEN_PEPPERS = {5: NEW, 4: OLD}
    issue(user)
    assert not said("apitokens.E001")


@pytest.mark.django_db
def test_pepper_that_only_deleted_tokens_need_may_be_missing(
    user: Membership, issue: Issue, settings: Settings
) -> None:
    settings.TOKEN_PEPPERS = {4: OLD}
    token = issue(user).token
    token_services.delete(token=token, by=Actor.member(user), at=token.created_at)
    settings.TOKEN_PEPPERS = {5: NEW}
    assert not said("apitokens.E001")


@pytest.mark.django_db
def test_machines_that_share_a_database_are_told_to_share_secrets_and_redis(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = "django.db.backends.postgresql"
    monkeypatch.setitem(settings.DATABASES["default"], "ENGINE", engine)
    settings.TOKEN_PEPPERS_MADE_IN = Path("var/token_peppers")
    settings.SECRET_KEY_MADE_IN, settings.REDIS_URL = Path("var/secret_key"), ""
    assert said("apitokens.W001")
    assert said("apitokens.W005")
    assert said("apitokens.W006")
    settings.SECRET_KEY_MADE_IN, settings.REDIS_URL = None, "redis://redis.internal/0"
    assert not said("apitokens.W005")
    assert not said("apitokens.W006")


@pytest.mark.django_db
def test_peppers_of_the_environment_can_be_shared(settings: Settings) -> None:
    settings.TOKEN_PEPPERS_MADE_IN = None
    assert not said("apitokens.W001")


@pytest.mark.django_db
def test_one_machine_with_its_own_database_needs_no_peppers_of_the_environment(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(settings.DATABASES["default"], "ENGINE", "django.db.backends.sqlite3")
    settings.TOKEN_PEPPERS_MADE_IN = Path("var/token_peppers")
    settings.SECRET_KEY_MADE_IN, settings.REDIS_URL = Path("var/secret_key"), ""
    assert not [each for code in ("W001", "W005", "W006") for each in said(f"apitokens.{code}")]


@pytest.mark.django_db
def test_portal_without_a_proxy_is_told_what_has_to_stand_in_front(settings: Settings) -> None:
    settings.BASE_URL, settings.TRUSTED_PROXIES = "https://tokens.example.com", []
    (message,) = said("apitokens.W004")
    assert "nginx" in str(message.hint)
    assert "requests and answers" in str(message.hint)
    assert "underscores" in str(message.hint)
    settings.TRUSTED_PROXIES = [ip_network("127.0.0.1")]
    assert not said("apitokens.W004")
    settings.BASE_URL, settings.TRUSTED_PROXIES = "http://localhost:8000", []
    assert not said("apitokens.W004")


@pytest.mark.django_db
def test_static_files_that_are_missing_are_told(settings: Settings, tmp_path: Path) -> None:
    settings.STATIC_ROOT = tmp_path
    manifest = tmp_path / "staticfiles.json"
    for text in (None, "{", '{"paths": {"css/portal.css": "css/portal.1.css"}}'):
        if text:
            manifest.write_text(text)
        (message,) = said("apitokens.W002")
        assert str(tmp_path) in message.msg
        assert "collectstatic" in str(message.hint)
    manifest.write_text(json.dumps({"paths": dict.fromkeys(checks._files(), "a")}))
    assert not said("apitokens.W002")


@pytest.mark.django_db
def test_hosts_that_are_wrong_or_too_many_are_told(settings: Settings) -> None:
    settings.BASE_URL, settings.ALLOWED_HOSTS = "https://tokens.example.com", ["a.example"]
    (message,) = said("apitokens.W008")
    assert "tokens.example.com" in message.msg
    settings.ALLOWED_HOSTS = ["*"]
    assert said("apitokens.W007")
    settings.ALLOWED_HOSTS = [".example.com"]
    assert not said("apitokens.W007")
    assert not said("apitokens.W008")


@pytest.mark.django_db
def test_trust_in_everybody_is_told(settings: Settings) -> None:
    settings.TRUSTED_PROXIES = [ip_network("10.0.0.0/8"), ip_network("::/0")]
    assert said("apitokens.W009")
    settings.TRUSTED_PROXIES = [ip_network("10.0.0.0/8")]
    assert not said("apitokens.W009")
