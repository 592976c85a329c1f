"""The theme of a browser, and the language of people who are not signed in."""

from typing import Any

import pytest
from django.conf import settings
from django.test import Client

from accounts.models import Membership
from tests.conftest import SignIn

pytestmark = pytest.mark.django_db

THEME, LANGUAGE, SIGN_IN = "/theme/", "/language/", "/sign-in/"


def page(client: Client, path: str = SIGN_IN, **headers: Any) -> str:
    return client.get(path, **headers).content.decode()


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_chosen_theme_is_on_the_next_page_from_its_first_line(client: Client, theme: str) -> None:
    assert "data-theme" not in page(client)
    answer = client.post(THEME, {"theme": theme, "back": "/sign-in/?next=%2F"})
    assert answer["Location"] == "/sign-in/?next=%2F"
    assert f'data-theme="{theme}"' in page(client)
    assert f'<meta name="color-scheme" content="{theme}">' in page(client)
    assert f'data-theme="{theme}"' in page(client, "/no-such-page/")


def test_theme_of_the_system_forgets_the_choice(client: Client) -> None:
    client.post(THEME, {"theme": "dark"})
    client.post(THEME, {"theme": "system"})
    assert "data-theme" not in page(client)
    assert '<meta name="color-scheme" content="light dark">' in page(client)


def test_theme_stays_when_somebody_signs_in_and_out(
    client: Client, user: Membership, sign_in: SignIn
) -> None:
    client.post(THEME, {"theme": "dark"})
    sign_in(client, user)
    assert 'data-theme="dark"' in page(client, "/profile/")
    client.post("/sign-out/")
    assert 'data-theme="dark"' in page(client)


@pytest.mark.parametrize("cookie", ["", "DARK", 'dark" onload="x', "d" * 4_000])
def test_cookie_of_no_theme_is_the_system(client: Client, cookie: str) -> None:
    client.cookies["theme"] = cookie
    assert "data-theme" not in page(client)


@pytest.mark.parametrize("name", ["", "pink", "dark\0", "d" * 100_000])
def test_theme_that_does_not_exist_is_the_system(client: Client, name: str) -> None:
    client.post(THEME, {"theme": name})
    assert "data-theme" not in page(client)


@pytest.mark.parametrize("path", [THEME, LANGUAGE])
@pytest.mark.parametrize("wanted", ["https://evil.example/", "//evil.example", "javascript:x", ""])
def test_choice_leads_to_no_other_site(client: Client, path: str, wanted: str) -> None:
    form = {"theme": "dark", "language": "de", "back": wanted}
    assert client.post(path, form)["Location"] == "/"


def test_language_is_chosen_before_signing_in(client: Client) -> None:
    assert 'lang="de"' in page(client)  # the button
    client.post(LANGUAGE, {"language": "de", "back": SIGN_IN})
    assert '<html lang="de"' in page(client, headers={"Accept-Language": "ru"})


@pytest.mark.parametrize("code", ["", "xx", "de\0", "../de", "d" * 100_000])
def test_language_that_does_not_exist_changes_nothing(client: Client, code: str) -> None:
    client.post(LANGUAGE, {"language": "ru"})
    client.post(LANGUAGE, {"language": code})
    assert '<html lang="ru"' in page(client)


def test_profile_says_the_language_of_who_is_signed_in(
    client: Client, user: Membership, sign_in: SignIn
) -> None:
    client.post(LANGUAGE, {"language": "de"})
    sign_in(client, user)
    assert '<html lang="en"' in page(client, "/no-such-page/")
    assert LANGUAGE not in page(client, "/no-such-page/")


def test_cookies_are_for_pages_alone(client: Client) -> None:
    client.post(THEME, {"theme": "dark"})
    client.post(LANGUAGE, {"language": "de"})
    for name in ("theme", settings.LANGUAGE_COOKIE_NAME):
        cookie = client.cookies[name]
        assert (cookie["httponly"], cookie["samesite"], cookie["path"]) == (True, "Lax", "/")
