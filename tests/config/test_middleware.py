"""Middleware: forwarded headers, body sizes, HTTPS and caches of the API, bad cookies."""

import pytest
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from accounts.models import Membership
from apitokens.expiry import scan
from config.env.networks import parse_networks
from notifications.email import delivery
from notifications.jobs import record_heartbeat
from tests.conftest import Issue, SignIn
from tests.factories import ACCOUNT_ID

pytestmark = pytest.mark.django_db


@pytest.fixture
def https(settings: Settings) -> None:
    """A portal whose people come over https, through a proxy on this machine."""
    settings.SECURE_SSL_REDIRECT = True
    settings.SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    settings.TRUSTED_PROXIES = parse_networks(["127.0.0.1"])


def test_a_trusted_proxy_is_believed_about_the_scheme(client: Client, https: None) -> None:
    assert client.get("/sign-in/", headers={"X-Forwarded-Proto": "https"}).status_code == 200


@pytest.mark.parametrize("scheme", ["wss", "HTTPS", "https,http", "https, http"])
def test_good_token_is_good_however_the_proxy_spells_https(
    client: Client, https: None, user: Membership, issue: Issue, scheme: str
) -> None:
    headers = {"Authorization": f"APIKey {issue(user).key.spell()}", "X-Forwarded-Proto": scheme}
    answers = [client.get(path, headers=headers) for path in ("/iam/auth/verify", "/iam/users/me")]
    assert [answer.status_code for answer in answers] == [200, 200]


@pytest.mark.parametrize("scheme", ["http", "ws", "http,https", "", "xhttps"])
def test_plain_http_is_refused_however_the_proxy_spells_it(
    client: Client, https: None, user: Membership, issue: Issue, scheme: str
) -> None:
    headers = {"Authorization": f"APIKey {issue(user).key.spell()}", "X-Forwarded-Proto": scheme}
    answer = client.get("/iam/auth/verify", headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (403, "https_required")
    assert answer.headers["X-Auth-Error"] == "https_required"


def test_a_stranger_is_not_believed_about_the_scheme(client: Client, https: None) -> None:
    page = client.get(
        "/sign-in/", headers={"X-Forwarded-Proto": "https"}, REMOTE_ADDR="198.51.100.7"
    )
    assert page.status_code == 301


def test_the_api_is_not_redirected_to_https_but_refused(client: Client, https: None) -> None:
    answer = client.post("/iam/v2/clients/1/tokens", {}, content_type="application/json")
    assert answer.status_code == 403
    assert "https" in answer.json()["message"]


def test_answers_of_the_api_are_kept_by_no_cache(client: Client) -> None:
    assert client.get("/iam/users/me").headers["Cache-Control"] == "no-store"


@pytest.mark.parametrize("path", ["/profile/", "/iam/docs", f"/accounts/{ACCOUNT_ID}/api-tokens/"])
def test_pages_about_a_person_are_kept_by_no_cache(
    client: Client, user: Membership, sign_in: SignIn, path: str
) -> None:
    sign_in(client, user)
    assert "no-store" in client.get(path).headers["Cache-Control"]


@pytest.mark.parametrize("path", ["/sign-in/", "/iam/v2/clients/1/tokens"])
def test_a_body_that_is_too_large_is_not_read(client: Client, path: str) -> None:
    answer = client.post(path, b"x" * 300_000, content_type="multipart/form-data; boundary=x")
    assert answer.status_code == 413


@pytest.mark.parametrize("cookie", [r'"\000aaaaaaaaaaaa"', "ünglaublich", "short", "a" * 5_000])
def test_a_cookie_that_no_session_can_have_is_as_none(
    client: Client, settings: Settings, cookie: str
) -> None:
    raw = f"{settings.SESSION_COOKIE_NAME}={cookie}"
    page = client.get(f"/accounts/{ACCOUNT_ID}/api-tokens/", HTTP_COOKIE=raw)
    assert page.status_code == 302
    assert page.headers["Location"].startswith("/sign-in/")


@pytest.mark.parametrize("host", ["10.1.2.3:8000", "[fd00::7]:8000", "evil.example", ""])
def test_probe_asks_for_health_by_any_name_and_without_tls(
    client: Client, https: None, host: str
) -> None:
    for name in (scan.HEARTBEAT, delivery.HEARTBEAT):
        record_heartbeat(name=name, at=timezone.now())
    answer = client.get("/healthz", headers={"Host": host})
    assert (answer.status_code, answer.json()["status"]) == (200, "ok")
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert not answer.cookies


@pytest.mark.parametrize("path", ["/healthz/", "/", "/sign-in/", "/iam/openapi.json", "/iam/docs"])
def test_nothing_else_is_answered_by_any_name(client: Client, path: str) -> None:
    assert client.get(path, headers={"Host": "10.1.2.3"}).status_code == 400


@pytest.mark.parametrize("kind", ["application/json", "application/merge-patch+json"])
@pytest.mark.parametrize("start", [b"", b"\xef\xbb\xbf"])
def test_json_may_have_a_mark_and_a_kind(
    client: Client, user: Membership, issue: Issue, kind: str, start: bytes
) -> None:
    answer = client.patch(
        f"/iam/users/{user.user_id}",
        start + b'{"name": "Grace"}',
        content_type=kind,
        headers={"Authorization": f"APIKey {issue(user).key.spell()}"},
    )
    assert answer.status_code == 200
    user.user.refresh_from_db()
    assert user.user.name == "Grace"


@pytest.mark.parametrize(
    "kind", ["text/json", "application/xml", "application/json+x", "x/y+json", "application/+xml"]
)
def test_other_kinds_are_refused(client: Client, user: Membership, issue: Issue, kind: str) -> None:
    headers = {"Authorization": f"APIKey {issue(user).key.spell()}"}
    answer = client.patch(f"/iam/users/{user.user_id}", b"{}", content_type=kind, headers=headers)
    assert answer.status_code == 415


def test_compressed_body_is_refused_on_pages_too(client: Client) -> None:
    def status(path: str, coding: str, body: bytes = b"x") -> int:
        headers = {"Content-Encoding": coding}
        kind = "application/x-www-form-urlencoded"
        return int(client.post(path, body, content_type=kind, headers=headers).status_code)

    assert [status("/sign-in/", each) for each in ("gzip", "br, gzip")] == [415, 415]
    assert status("/sign-in/", "identity") == 400  # an empty form
    assert status("/sign-in/", "gzip", b"") == 400
    assert status("/iam/auth/verify", "gzip") == 401
