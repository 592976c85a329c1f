"""Strangers get their browser's language; machines and operators' terminals get English."""

import os
import subprocess
import sys

import pytest
from django.test import Client

from accounts.models import Membership
from tests.conftest import Api, Issue, SignIn
from tests.languages.catalogues import ROOT
from tests.languages.test_pages import TRANSLATED, english_in, visible

SIGN_IN = {
    "en": "Use a password",
    "de": "Passwort verwenden",
    "ru": "Войти с паролем",
    "zh-hans": "使用密码",
    "az": "Şifrədən istifadə et",
}


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("wanted", "spoken"),
    [
        ("en-US,en;q=0.9", "en"),
        ("de", "de"),
        ("de-AT,de;q=0.9,en;q=0.8", "de"),
        ("ru-RU,ru;q=0.9", "ru"),
        ("zh-CN,zh;q=0.9", "zh-hans"),
        ("zh", "zh-hans"),
        ("az-AZ,az;q=0.9,ru;q=0.5", "az"),
        ("fr-FR,fr;q=0.9,de;q=0.5", "de"),
        ("fr-FR,fr;q=0.9", "en"),
        ("*", "en"),
        ("nonsense;;q=x", "en"),
        ("", "en"),
    ],
)
def test_stranger_is_spoken_to_as_the_browser_asks(
    client: Client, wanted: str, spoken: str
) -> None:
    answer = client.get("/sign-in/", headers={"accept-language": wanted})
    page = answer.content.decode()
    assert SIGN_IN[spoken] in visible(page)
    assert f'<html lang="{spoken}"' in page
    assert answer.headers["Content-Language"] == spoken


@pytest.mark.django_db
@pytest.mark.parametrize("language", TRANSLATED)
def test_sign_in_keeps_no_english(client: Client, language: str) -> None:
    asks = {"accept-language": language}
    assert english_in(client.get("/sign-in/", headers=asks).content.decode(), language) == []


@pytest.mark.django_db
@pytest.mark.parametrize("language", TRANSLATED)
def test_refused_sign_in_keeps_no_english(client: Client, language: str) -> None:
    wrong = {"login": "nobody@example.com", "password": "wrong"}
    refused = client.post("/sign-in/", wrong, headers={"accept-language": language})
    text = visible(refused.content.decode())
    assert english_in(refused.content.decode(), language) == []
    assert "password you specified" not in text


def test_own_choice_wins_over_the_browser(
    client: Client, user: Membership, sign_in: SignIn
) -> None:
    user.user.language = "ru"
    user.user.save()
    sign_in(client, user)
    page = client.get("/profile/", headers={"accept-language": "de"}).content.decode()
    assert '<html lang="ru"' in page
    assert "Мой профиль" in visible(page)


def test_answer_to_one_person_leaves_nothing_for_the_next(
    client: Client, user: Membership, sign_in: SignIn
) -> None:
    user.user.language = "az"
    user.user.save()
    sign_in(client, user)
    client.get("/profile/")
    stranger = Client().get("/sign-in/", headers={"accept-language": "en"})
    assert '<html lang="en"' in stranger.content.decode()


@pytest.mark.parametrize("language", TRANSLATED)
def test_api_answers_in_english(api: Api, user: Membership, issue: Issue, language: str) -> None:
    user.user.language = language
    user.user.save()
    asks = {"accept-language": language}
    tokens = f"/iam/clients/{user.account_id}/tokens"
    client = api(issue(user).key)

    too_high = {"name": "T", "exp_date": None, "client_user": {"role": {"id": 1}}}
    refused = client.post(tokens, too_high, format="json", headers=asks)
    assert refused.json()["errors"]["client_user"]["role"] == [
        "Can't create token with role Administrators"
    ]
    empty = client.post(tokens, {}, format="json", headers=asks)
    assert empty.json()["errors"]["name"] == ["This field is required."]
    missing = client.get(f"{tokens}/1", headers=asks)
    assert missing.json() == {"message": "API token not found."}
    anonymous = Client().get(tokens, headers=asks)
    assert anonymous.json() == {"message": "Authentication credentials were not provided."}


@pytest.mark.parametrize("language", TRANSLATED)
def test_documentation_of_the_api_is_english(
    client: Client, user: Membership, sign_in: SignIn, language: str
) -> None:
    """It describes English answers; half a translation would help nobody."""
    user.user.language = language
    user.user.save()
    sign_in(client, user)
    page = client.get("/iam/docs", headers={"accept-language": language}).content.decode()
    assert '<html lang="en"' in page
    assert "Request body" in visible(page)
    described = client.get("/iam/openapi.json", headers={"accept-language": language})
    assert described.content == Client().get("/iam/openapi.json").content


def test_commands_speak_english() -> None:
    german = {**os.environ, "LANG": "de_DE.UTF-8", "LC_ALL": "de_DE.UTF-8", "LANGUAGE": "de"}
    done = subprocess.run(
        [sys.executable, "manage.py", "revoke_tokens"],
        cwd=ROOT,
        env=german,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.startswith("CommandError: ")
    assert done.stderr.isascii()
