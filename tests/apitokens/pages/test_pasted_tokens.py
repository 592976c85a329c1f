"""A token that is pasted into a search, or anywhere else in an address of a page."""

import base64
import re
from urllib.parse import quote

import pytest
from django.contrib.sessions.models import Session
from django.test import Client
from django.urls import reverse

from accounts.models import Membership
from apitokens import keys
from tests.conftest import Issue, SignIn

pytestmark = pytest.mark.django_db

PAGES = ["apitokens:list", "accounts:people", "accounts:audit_log", "notifications:inbox"]


@pytest.fixture
def browser(client: Client, administrator: Membership, sign_in: SignIn) -> Client:
    sign_in(client, administrator)
    return client


@pytest.mark.parametrize("page", PAGES)
@pytest.mark.parametrize("form", ["{}", "  {}\n", "APIKey {}", "{}&page=2&sort=name", "x&z={}"])
def test_no_address_holds_its_secret(
    browser: Client, administrator: Membership, issue: Issue, page: str, form: str
) -> None:
    issued = issue(administrator)
    key = issued.key
    url = reverse(page, args=[administrator.account_id])
    for spelled in (key.spell(), key.spell().replace("$", "_"), quote(key.spell())):
        led = browser.get(f"{url}?q={form.format(spelled)}")
        assert led.status_code == 302
        assert key.spell()[-72:] not in led.headers["Location"]
        assert str(issued.token.pk) in led.headers["Location"]
        answer = browser.get(f"{url}{led.headers['Location']}")
        assert answer.status_code in (200, 302, 400)
        assert key.spell()[-72:] not in answer.content.decode()


def test_pasted_token_is_found_by_its_id(
    browser: Client, administrator: Membership, issue: Issue
) -> None:
    issued = issue(administrator, name="Wanted")
    issue(administrator, name="Other")
    url = reverse("apitokens:list", args=[administrator.account_id])
    page = browser.get(url, {"q": issued.key.spell()}, follow=True).content.decode()
    assert "Wanted" in page
    assert "Other" not in page


def test_browsers_keep_nothing_that_was_searched_for(
    browser: Client, administrator: Membership, issue: Issue
) -> None:
    issue(administrator)
    for page in ("apitokens:list", "accounts:people"):
        content = browser.get(reverse(page, args=[administrator.account_id])).content.decode()
        fields = re.findall(r'<input type="search"[^>]*>', content)
        assert fields, page
        assert all('autocomplete="off"' in field for field in fields), page


LINES = [
    "Authorization: APIKey {}",
    "curl -H 'Authorization: APIKey {}' https://api.example.com/",
    "xx_{}",
    '10.0.0.1 - - "GET /?key={} HTTP/1.1" 200 17',
]


@pytest.mark.parametrize("line", LINES)
@pytest.mark.parametrize("separator", ["$", "_", "%24"])
def test_whatever_was_pasted_with_a_token_is_left_out(
    browser: Client, administrator: Membership, issue: Issue, line: str, separator: str
) -> None:
    issued = issue(administrator, name="Wanted")
    url = reverse("apitokens:list", args=[administrator.account_id])
    pasted = line.format(issued.key.spell().replace("$", separator))
    led = browser.get(url, {"q": pasted, "role": "1"})
    assert led.headers["Location"] == f"?q={issued.token.pk}&role=1"


def test_secret_alone_finds_nothing_and_the_page_says_why(
    browser: Client, administrator: Membership, issue: Issue
) -> None:
    issued = issue(administrator, name="Wanted")
    url = reverse("apitokens:list", args=[administrator.account_id])
    answer = browser.get(url, {"q": issued.key.spell()[-72:]}, follow=True)
    assert "a secret without the ID of its token" in answer.content.decode()
    assert answer.context["rows"] == []


def test_page_says_once_that_the_secret_was_cut_out(
    browser: Client, administrator: Membership, issue: Issue
) -> None:
    url = reverse("apitokens:list", args=[administrator.account_id])
    said = "the secret of a token must not be in an address"
    led = browser.get(url, {"q": issue(administrator).key.spell()}, follow=True)
    assert said in led.content.decode()
    assert said not in browser.get(url).content.decode()


def test_strangers_are_told_nothing_and_get_no_session(client: Client) -> None:
    client.cookies["secret-removed"] = "1"
    assert client.get("/sign-in/").status_code == 200
    assert not Session.objects.exists()


def test_lists_of_operators_too(
    admin_client: Client, administrator: Membership, issue: Issue
) -> None:
    issued = issue(administrator)
    led = admin_client.get("/operators/apitokens/apitoken/", {"q": issued.key.spell()})
    assert led.headers["Location"] == f"?q={issued.token.pk}"


@pytest.mark.parametrize("path", ["//elsewhere.example/", "/sign-in//"])
def test_leads_to_no_other_site(
    client: Client, administrator: Membership, issue: Issue, path: str
) -> None:
    led = client.get(path, QUERY_STRING=f"q={issue(administrator).key.spell()}")
    assert led.headers["Location"].startswith("?q=")


def test_calls_of_the_api_are_not_led_anywhere(
    client: Client, administrator: Membership, issue: Issue
) -> None:
    key = issue(administrator).key
    assert client.get("/iam/auth/verify", {"role": key.spell()}).status_code == 400


@pytest.mark.parametrize("page", PAGES)
def test_no_address_holds_the_secret_of_a_short_lived_token_or_signed_link(
    browser: Client, administrator: Membership, page: str
) -> None:
    url = reverse(page, args=[administrator.account_id])
    for begin, secret in (
        ("eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.", "a-b_c" * 9),
        ("eyJ1IjoxfQ:1abcDE:", "Zz_-" * 10 + "abc"),
    ):
        led = browser.get(url, {"q": f"Bearer {begin}{secret}"})
        assert led.status_code == 302
        assert secret not in led.headers["Location"]
        answer = browser.get(f"{url}{led.headers['Location']}")
        assert answer.status_code in (200, 302, 400)
        assert secret not in answer.content.decode()


def test_path_of_a_stranger_adds_no_attribute_to_the_cookie(client: Client) -> None:
    led = client.get("/foo;%20Domain=example.com;%20Secure", {"q": f"1${'a' * 72}"})
    cookie = led.cookies["secret-removed"].OutputString()
    assert "path=/foo%3b%20domain%3dexample.com%3b%20secure" in cookie.lower()
    assert "domain=" not in cookie.lower()
    assert "secure" not in cookie.lower().split("; ")


@pytest.mark.parametrize("how", ["Basic", "two lines"])
def test_search_for_a_token_in_disguise_is_in_no_link(
    client: Client, sign_in: SignIn, administrator: Membership, how: str
) -> None:
    text = keys.make(730114528).spell("_")
    secret = text.partition("_")[2]
    if how == "Basic":
        searched = base64.b64encode(f"x:{text}".encode()).decode()
        part = searched[20:60]
    else:
        searched, part = f"{secret[:36]} {secret[36:]}", secret[:36]
    sign_in(client, administrator)

    path = reverse("accounts:people", args=[administrator.account_id])
    answer = client.get(path, {"search": searched}, follow=True)

    assert answer.status_code == 200
    assert part not in answer.request["QUERY_STRING"] + answer.content.decode()
