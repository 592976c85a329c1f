"""The question "Delete all API tokens of this person" and its answer."""

import re
from datetime import datetime, timedelta
from html import unescape
from typing import Any

import pytest
from django.test import Client
from django.utils.html import strip_tags

from accounts.authorization.actor import Actor, EntryPoint
from accounts.models import Membership
from accounts.roles import Role
from apitokens.models import APIToken
from apitokens.tokens.handover import hand_over
from tests.conftest import Issue, SignIn
from tests.factories import ACCOUNT_ID, PASSWORD
from tests.questions import hidden_fields

pytestmark = pytest.mark.django_db

LIST = f"/accounts/{ACCOUNT_ID}/api-tokens/"
PEOPLE = f"/accounts/{ACCOUNT_ID}/users/"


@pytest.fixture
def browser(client: Client, administrator: Membership, sign_in_now: SignIn) -> Client:
    """The browser of an Administrator who has just signed in."""
    sign_in_now(client, administrator)
    return client


def url_of(member: Membership) -> str:
    return f"{LIST}of/{member.user_id}/delete/"


def text(answer: Any) -> str:
    return re.sub(r"\s+", " ", unescape(strip_tags(answer.content.decode())))


def answered(client: Client, member: Membership, asked: str = "", **facts: str) -> Any:
    """The answer to the question, as the page sends it."""
    url = asked or url_of(member)
    page = client.get(url).content.decode()
    shown = re.findall(r'name="(shown|asked_at)" value="([^"]*)"', page)
    return client.post(url, dict(shown) | facts, follow=True)


def undeleted() -> int:
    return APIToken.objects.undeleted().count()


def test_question_names_the_person_their_tokens_and_the_number(
    browser: Client, user: Membership, issue: Issue
) -> None:
    issue(user, name="Backup")
    issue(user, name="Report <b>of</b> May")
    said = text(browser.get(url_of(user)))
    assert f"all 2 active API tokens of {user.user.name}" in said
    assert "Backup" in said
    assert "Report <b>of</b> May" in said
    assert "remove the user" in said
    assert "Delete 2 API tokens" in said


def test_asking_deletes_nothing(browser: Client, user: Membership, issue: Issue) -> None:
    issue(user)
    browser.get(url_of(user))
    assert undeleted() == 1


def test_answer_deletes_all_of_the_person_and_no_other_s(
    browser: Client, user: Membership, engineer: Membership, issue: Issue
) -> None:
    issue(user)
    issue(user)
    issue(engineer)
    answer = answered(browser, user, next=f"{PEOPLE}?q=x")
    assert answer.redirect_chain == [(f"{PEOPLE}?q=x", 302)]
    assert f"2 API tokens of {user.user.name} were deleted." in text(answer)
    assert APIToken.objects.undeleted().get().issuer == engineer


def test_token_that_was_created_after_the_question_stays(
    browser: Client, user: Membership, issue: Issue
) -> None:
    issue(user)
    issue(user)
    page = browser.get(url_of(user)).content.decode()
    shown = re.search(r'name="shown" value="([^"]*)"', page)
    assert shown
    new = issue(user).token
    browser.post(url_of(user), {"shown": shown[1]})
    assert APIToken.objects.undeleted().get() == new


@pytest.mark.parametrize("shown", ["", "x", "-1,1", "9" * 30])
def test_nothing_that_was_shown_is_nothing_to_delete(
    browser: Client, user: Membership, issue: Issue, shown: str
) -> None:
    issue(user)
    browser.post(url_of(user), {"shown": shown})
    assert undeleted() == 1


def test_it_leads_to_no_other_host(browser: Client, user: Membership, issue: Issue) -> None:
    issue(user)
    answer = answered(browser, user, next="https://evil.example/")
    assert answer.redirect_chain == [(LIST, 302)]


def test_person_without_tokens_has_nothing_to_confirm(browser: Client, user: Membership) -> None:
    said = browser.get(url_of(user))
    assert f"{user.user.name} has no active API tokens." in text(said)
    assert "button--danger" not in said.content.decode().partition("<dialog")[2]


def test_everybody_may_delete_all_their_own(
    client: Client, user: Membership, issue: Issue, sign_in_now: SignIn
) -> None:
    issue(user)
    sign_in_now(client, user)
    assert "remove the user" not in text(client.get(url_of(user)))
    answered(client, user)
    assert undeleted() == 0


@pytest.mark.parametrize("who", ["administrator", "user"])
def test_open_browser_is_not_enough(
    client: Client,
    user: Membership,
    issue: Issue,
    sign_in: SignIn,
    who: str,
    request: pytest.FixtureRequest,
) -> None:
    issue(user)
    sign_in(client, request.getfixturevalue(who))
    for answer in (client.get(url_of(user)), client.post(url_of(user))):
        assert answer["Location"].startswith("/sign-in/again/")
    assert undeleted() == 1


def test_deletion_goes_on_after_signing_in_again(
    client: Client, administrator: Membership, user: Membership, issue: Issue, sign_in: SignIn
) -> None:
    issue(user)
    sign_in(client, administrator)
    asked = f"{url_of(user)}?next={PEOPLE}"
    again = client.get(asked)["Location"]
    answer = client.post(again, {"password": PASSWORD})
    assert answer["Location"] == asked
    answered(client, user, asked)
    assert undeleted() == 0


@pytest.mark.parametrize("who", ["engineer", "stranger"])
def test_for_everybody_else_there_is_no_such_page(
    client: Client,
    user: Membership,
    issue: Issue,
    sign_in: SignIn,
    who: str,
    request: pytest.FixtureRequest,
) -> None:
    issue(user)
    sign_in(client, request.getfixturevalue(who))
    assert client.get(url_of(user)).status_code == 404
    assert client.post(url_of(user)).status_code == 404
    assert undeleted() == 1


def test_id_longer_than_any_is_nobody_s(browser: Client) -> None:
    assert browser.get(f"{LIST}of/{10**30}/delete/").status_code == 404


def test_list_of_people_and_the_tokens_of_a_person_lead_there(
    browser: Client, user: Membership, issue: Issue
) -> None:
    assert url_of(user) not in browser.get(PEOPLE).content.decode()
    issue(user)
    for address in (PEOPLE, f"{LIST}?issued_by={user.user_id}"):
        assert url_of(user) in browser.get(address).content.decode(), address


def test_menu_of_one_token_does_not_lead_there(
    browser: Client, user: Membership, issue: Issue
) -> None:
    issue(user)
    assert url_of(user) not in browser.get(LIST).content.decode()


def test_person_who_has_left_is_not_led_to(
    browser: Client, user: Membership, issue: Issue, now: datetime
) -> None:
    issue(user)
    Membership.objects.filter(pk=user.pk).update(removed_at=now)
    page = browser.get(f"{LIST}?issued_by={user.user_id}").content.decode()
    assert url_of(user) not in page


def test_others_are_not_led_there_from_the_tokens(
    client: Client, user: Membership, issue: Issue, sign_in: SignIn
) -> None:
    issue(user)
    sign_in(client, user)
    assert url_of(user) not in client.get(LIST).content.decode()


def test_question_about_many_names_fifty_and_means_those_there_were(
    browser: Client, user: Membership, issue: Issue, now: datetime
) -> None:
    type(user.account).objects.update(token_limit=100)
    for number in range(52):
        issue(user, name=f"Old {number}")
    page = browser.get(url_of(user)).content.decode()
    asked = dict(re.findall(r'name="(shown|asked_at)" value="([^"]*)"', page))
    assert asked["asked_at"]
    assert page.count("<dt>") == 50
    assert "and 2 more" in page
    assert "Delete 52 API tokens" in page
    newer = issue(user, name="Newer", at=datetime.now(tz=now.tzinfo)).token

    browser.post(url_of(user), asked)

    assert APIToken.objects.undeleted().get() == newer


@pytest.mark.parametrize("asked_at", ["never", "2026-02-30T00:00:00Z", "2026-01-01T00:00:00"])
def test_moment_that_makes_no_sense_means_nothing_else(
    browser: Client, user: Membership, issue: Issue, asked_at: str
) -> None:
    token = issue(user).token
    issue(user)
    browser.post(url_of(user), {"asked_at": asked_at, "shown": str(token.pk)})
    assert undeleted() == 1


@pytest.mark.parametrize("sent", [{}, {"asked_at": "never"}, {"next": LIST}])
def test_answer_that_does_not_say_what_was_shown_asks_again(
    browser: Client, user: Membership, issue: Issue, sent: dict[str, str]
) -> None:
    issue(user)
    answer = browser.post(url_of(user), sent)
    assert (answer.status_code, undeleted()) == (409, 1)
    assert "Delete 1 API token" in text(answer)


def test_question_about_many_does_not_mean_what_was_handed_over_since(
    browser: Client, user: Membership, engineer: Membership, issue: Issue, now: datetime
) -> None:
    past = now - timedelta(hours=1)
    type(user.account).objects.update(token_limit=100)
    for number in range(51):
        issue(user, name=f"Old {number}", at=past)
    other = issue(engineer, role=Role.USERS, at=past).token
    question = hidden_fields(browser, url_of(user))
    operator = Actor.operator(through=EntryPoint.COMMAND)
    hand_over(account=user.account, token_ids=[other.pk], to=user, by=operator, at=now)

    refused = browser.post(url_of(user), question)

    assert "so nothing has been done" in text(refused)
    assert "Delete 52 API tokens" in text(refused)
    assert undeleted() == 52
    browser.post(url_of(user), hidden_fields(browser, url_of(user)))
    assert undeleted() == 0
