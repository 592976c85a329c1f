"""The question "Delete API token" and its answer."""

import re
from datetime import datetime
from html import unescape
from typing import Any

import pytest
from django.test import Client
from django.utils.html import strip_tags

from accounts.authorization.actor import Actor
from accounts.models import Membership
from accounts.roles import Role
from apitokens.models import APIToken
from apitokens.tokens import services as token_services
from apitokens.tokens.handover import hand_over
from apitokens.verification.verify import verify
from tests.conftest import Api, Issue, SignIn
from tests.factories import ACCOUNT_ID
from tests.questions import hidden_fields

pytestmark = pytest.mark.django_db

LIST = f"/accounts/{ACCOUNT_ID}/api-tokens/"


@pytest.fixture
def browser(client: Client, user: Membership, sign_in: SignIn) -> Client:
    sign_in(client, user)
    return client


def url_of(token: APIToken | int) -> str:
    return f"{LIST}{token.pk if isinstance(token, APIToken) else token}/delete/"


def text(answer: Any) -> str:
    return re.sub(r"\s+", " ", unescape(strip_tags(answer.content.decode())))


def test_question_names_the_token_and_when_it_was_last_used(
    browser: Client, user: Membership, issue: Issue
) -> None:
    token, key = issue(user, name="Nightly <b>backup</b>")
    verify(presented=key.spell(), at=datetime.fromisoformat("2026-03-04T05:06:07Z"))
    said = browser.get(url_of(token))
    assert "Nightly <b>backup</b>" in text(said)
    assert "2026-03-04 05:06:07 UTC" in said.content.decode()


def test_question_says_if_the_token_was_never_used(
    browser: Client, user: Membership, issue: Issue
) -> None:
    assert "It hasn't been used yet." in text(browser.get(url_of(issue(user).token)))


def test_question_alone_deletes_nothing(browser: Client, user: Membership, issue: Issue) -> None:
    browser.get(url_of(issue(user).token))
    assert APIToken.objects.undeleted().count() == 1


def test_answer_deletes_the_token_at_once(
    browser: Client, user: Membership, issue: Issue, api: Api
) -> None:
    token, key = issue(user, name="CI")
    answer = browser.post(url_of(token), follow=True)
    assert answer.redirect_chain == [(LIST, 302)]
    assert "“CI” was deleted." in text(answer)
    assert api(key).get("/iam/users/me").status_code == 401


def test_second_answer_is_told_and_changes_nothing(
    browser: Client, user: Membership, issue: Issue
) -> None:
    token = issue(user, name="CI").token
    browser.post(url_of(token))
    first = APIToken.objects.get().deleted_at
    assert "“CI” had already been deleted." in text(browser.post(url_of(token), follow=True))
    assert APIToken.objects.get().deleted_at == first


def test_administrator_deletes_any_token_of_the_account(
    client: Client, administrator: Membership, user: Membership, issue: Issue, sign_in: SignIn
) -> None:
    sign_in(client, administrator)
    client.post(url_of(issue(user).token))
    assert APIToken.objects.get().deleted_by == administrator.user


def test_tokens_of_others_are_not_found_like_those_that_do_not_exist(
    browser: Client, administrator: Membership, stranger: Membership, issue: Issue
) -> None:
    existing = [issue(administrator).token.pk, issue(stranger).token.pk]
    answers = set()
    for token_id in (*existing, 123_456_789, 0, 2**63, 10**100):
        for answer in (browser.get(url_of(token_id)), browser.post(url_of(token_id))):
            assert answer.status_code == 404
            answers.add(text(answer))
    assert len(answers) == 1
    assert not APIToken.objects.deleted().exists()


@pytest.mark.parametrize("token_id", ["x", "-1", "1.5", "%00", "%ED%A0%80", "<b>", "9" * 5000])
def test_token_id_that_is_none_is_not_found(browser: Client, token_id: str) -> None:
    assert browser.get(f"{LIST}{token_id}/delete/").status_code == 404


def test_stranger_is_asked_to_sign_in(client: Client, user: Membership, issue: Issue) -> None:
    token = issue(user).token
    assert client.post(url_of(token)).status_code == 302
    assert not APIToken.objects.deleted().exists()


def test_answer_of_another_site_is_refused(user: Membership, issue: Issue, sign_in: SignIn) -> None:
    browser = Client(enforce_csrf_checks=True)
    sign_in(browser, user)
    assert browser.post(url_of(issue(user).token)).status_code == 403
    assert not APIToken.objects.deleted().exists()


def test_answer_leads_back_to_the_list_as_it_was(
    browser: Client, user: Membership, issue: Issue
) -> None:
    back = f"{LIST}?status=all&sort=name&page=2"
    assert browser.post(url_of(issue(user).token), {"next": back})["Location"] == back


@pytest.mark.parametrize(
    "elsewhere",
    [
        "//evil.example",
        "///evil.example",
        "https://evil.example",
        "https:evil.example",
        "https:/evil.example",
        "http:///evil.example",
        "\\\\evil.example",
        "/\\evil.example",
        "\\/evil.example",
        "\x08//evil.example",
        " //evil.example",
        "javascript:alert(1)",
        "data:text/html,x",
        "ftp://testserver/",
        "//testserver@evil.example",
        "http://testserver:pw@evil.example/",
        "/\t/evil.example",
        "/\n/evil.example",
        "\0",
        "x" * 100_000,
    ],
    ids=lambda each: repr(each[:30]),
)
def test_answer_leads_nowhere_else(
    browser: Client, user: Membership, issue: Issue, elsewhere: str
) -> None:
    asked = browser.get(url_of(issue(user).token), {"next": elsewhere[:2000]})
    (carried,) = re.findall(r'name="next"\s+value="([^"]*)"', asked.content.decode())
    assert carried == LIST or not re.search("evil|:", carried)
    answer = browser.post(url_of(issue(user).token), {"next": elsewhere})
    assert answer.status_code == 302
    assert answer["Location"] == LIST or not re.search("evil|:|\n", answer["Location"])


def test_deleted_token_is_not_offered_for_deletion_again(
    browser: Client, user: Membership, issue: Issue, now: datetime
) -> None:
    token = issue(user, role=Role.USERS).token
    token_services.delete(token=token, by=Actor.member(user), at=now)
    assert f"/{token.pk}/delete/" not in browser.get(f"{LIST}?status=all").content.decode()


@pytest.mark.parametrize("method", ["put", "delete", "patch"])
def test_page_knows_no_other_methods(
    browser: Client, user: Membership, issue: Issue, method: str
) -> None:
    assert getattr(browser, method)(url_of(issue(user).token)).status_code == 405
    assert not APIToken.objects.deleted().exists()


def test_token_that_was_handed_over_since_is_asked_about_again(
    client: Client,
    administrator: Membership,
    user: Membership,
    engineer: Membership,
    issue: Issue,
    sign_in: SignIn,
    now: datetime,
) -> None:
    token, by = issue(user).token, Actor.member(administrator)
    sign_in(client, administrator)
    question = hidden_fields(client, url_of(token))
    hand_over(account=user.account, token_ids=[token.pk], to=engineer, by=by, at=now)

    refused = client.post(url_of(token), question, follow=True)

    assert f"was handed over to {engineer.user.get_full_name()}" in text(refused)
    token.refresh_from_db()
    assert not token.is_deleted
    client.post(url_of(token), hidden_fields(client, url_of(token)))
    token.refresh_from_db()
    assert token.is_deleted
