"""Pages are compressed, and nothing that shows a secret."""

import gzip
from typing import Any

import pytest
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from django.test import Client
from django.urls import reverse

from accounts.models import Membership
from tests.conftest import SignIn
from tests.factories import ACCOUNT_ID

pytestmark = pytest.mark.django_db
TOKENS = f"/accounts/{ACCOUNT_ID}/api-tokens/"


@pytest.fixture
def browser(client: Client, administrator: Membership, sign_in_now: SignIn) -> Client:
    """An Administrator's browser, which takes compressed pages."""
    sign_in_now(client, administrator)
    client.defaults["HTTP_ACCEPT_ENCODING"] = "gzip, br"
    return client


def is_compressed(answer: Any) -> bool:
    return bool(answer.headers.get("Content-Encoding") == "gzip")


@pytest.mark.parametrize("path", [TOKENS, "/iam/docs", "/sign-out/", "/operators/"])
def test_page_is_compressed(browser: Client, administrator: Membership, path: str) -> None:
    administrator.user.is_staff = administrator.user.is_superuser = True
    administrator.user.save()
    page = browser.get(path)
    assert is_compressed(page)
    assert "Accept-Encoding" in page.headers["Vary"]
    assert gzip.decompress(page.content).lstrip().startswith(b"<!DOCTYPE html>")


def test_the_same_page_has_many_sizes(browser: Client) -> None:
    """Random bytes hide what a guess adds or spares."""
    assert len({len(browser.get("/iam/docs").content) for _ in range(12)}) > 3


def test_stream_is_compressed_as_it_goes(browser: Client) -> None:
    table = browser.get(f"/accounts/{ACCOUNT_ID}/audit-log.csv")
    assert table.streaming
    assert is_compressed(table)
    assert b"time" in gzip.decompress(table.getvalue())


def test_browser_that_takes_none_gets_the_page_as_it_is(browser: Client) -> None:
    assert not is_compressed(browser.get(TOKENS, headers={"Accept-Encoding": "identity"}))


def test_token_that_is_shown_once_is_not_compressed(browser: Client) -> None:
    form = {"name": "Backup", "role": "2", "expiration": "never"}
    key = browser.get(f"{TOKENS}create/").context["form"]["form_key"].value()
    page = browser.post(f"{TOKENS}create/", {**form, "form_key": key})
    assert b"data-secret" in page.content
    assert not is_compressed(page)


def test_refused_form_is_compressed(browser: Client) -> None:
    page = browser.post(f"{TOKENS}create/", {"name": " "})
    assert page.status_code == 400
    assert is_compressed(page)


def test_refused_form_of_operators_is_compressed(
    browser: Client, administrator: Membership
) -> None:
    administrator.user.is_staff = administrator.user.is_superuser = True
    administrator.user.save()
    page = browser.post(reverse("admin:apitokens_verifierkey_add"), {"name": " "})
    assert page.status_code == 400
    assert is_compressed(page)
    page = browser.post(reverse("admin:apitokens_verifierkey_add"), {"name": "nginx"})
    assert page.context["plaintext"].encode() in page.content
    assert not is_compressed(page)


def test_refused_form_that_shows_a_secret_is_not_compressed(browser: Client) -> None:
    page = browser.post(reverse("mfa_activate_totp"), {"code": "000000"})
    assert b"totp-key" in page.content
    assert not is_compressed(page)
    page = browser.post("/sign-up/confirm/MQ:1abc:secret/", {})
    assert page.status_code == 410
    assert not is_compressed(page)


def test_answer_of_the_api_is_not_compressed(browser: Client) -> None:
    assert not is_compressed(browser.get("/iam/openapi.json"))


def test_secret_of_an_authenticator_app_is_not_compressed(browser: Client) -> None:
    page = browser.get(reverse("mfa_activate_totp"))
    assert b"totp-key" in page.content
    assert not is_compressed(page)


def test_recovery_codes_are_not_compressed(browser: Client, administrator: Membership) -> None:
    codes = RecoveryCodes.activate(administrator.user)
    page = browser.get(reverse("mfa_view_recovery_codes"))
    assert codes.get_unused_codes()[0].encode() in page.content
    assert not is_compressed(page)


def test_page_of_a_secret_address_is_not_compressed(browser: Client) -> None:
    page = browser.get("/sign-up/confirm/MQ:1abc:secret/")
    assert page.status_code == 410
    assert not is_compressed(page)
