"""Several tokens are deleted in one confirmed step; more than ten of them after a fresh sign-in."""

import re
from datetime import datetime, timedelta
from html import unescape
from typing import Any
from urllib.parse import urlencode

import pytest
from django.core.exceptions import PermissionDenied
from django.test import Client
from django.utils.html import strip_tags

from accounts.authorization.actor import Actor
from accounts.models import Account, AuditEvent, Membership
from apitokens.models import APIToken
from apitokens.pages.selection import views
from apitokens.tokens import services as token_services
from apitokens.tokens.handover import hand_over
from notifications.models import Notice
from tests.conftest import Issue, SignIn
from tests.factories import ACCOUNT_ID, PASSWORD
from tests.questions import hidden_fields

pytestmark = pytest.mark.django_db

LIST = f"/accounts/{ACCOUNT_ID}/api-tokens/"
SELECT = f"{LIST}selection/"
DELETE = f"{SELECT}delete/"


@pytest.fixture
def browser(client: Client, administrator: Membership, sign_in: SignIn) -> Client:
    """The browser of an Administrator, who signed in a while ago."""
    sign_in(client, administrator)
    return client


def made(issue: Issue, member: Membership, count: int, **facts: Any) -> list[APIToken]:
    return [issue(member, name=f"No. {number}", **facts).token for number in range(count)]


def question(browser: Client, tokens: list[APIToken], **sent: Any) -> str:
    """Tick these, and press the button; the address of the question."""
    answer = browser.post(SELECT, {"token": [token.pk for token in tokens], **sent})
    assert answer.status_code == 302
    return str(answer["Location"])


def confirm(browser: Client, address: str) -> Any:
    """Press the button of the question."""
    page = browser.get(address).content.decode()
    fields = re.search(r'name="shown" value="([\d,:]*)"', page)
    action = re.search(r'<form method="post" action="([^"]*selection/delete[^"]*)"', page)
    following = re.findall(r'name="next" value="([^"]*)"', page)
    assert fields
    assert action
    sent = {"shown": fields[1], "next": unescape(following[0])}
    return browser.post(unescape(action[1]), sent, follow=True)


def undeleted() -> set[int]:
    return set(APIToken.objects.undeleted().values_list("pk", flat=True))


def text(answer: Any) -> str:
    return " ".join(unescape(strip_tags(answer.content.decode())).split())


def test_ticked_tokens_are_deleted_after_one_question(
    browser: Client, user: Membership, issue: Issue
) -> None:
    first, second, third = made(issue, user, 3)
    address = question(browser, [first, second], query="sort=name")
    asked = text(browser.get(address))
    assert "You are about to delete 2 API tokens." in asked
    assert "No. 0" in asked
    assert len(undeleted()) == 3, "asking deletes nothing"
    answer = confirm(browser, address)
    assert undeleted() == {third.pk}
    assert answer.redirect_chain == [(f"{LIST}?sort=name", 302)]
    assert "2 API tokens were deleted." in text(answer)
    assert AuditEvent.objects.filter(kind="token.deleted").count() == 2


def test_all_that_match_are_deleted_also_on_other_pages(
    browser: Client, administrator: Membership, user: Membership, issue: Issue
) -> None:
    made(issue, user, 5)
    (other,) = made(issue, administrator, 1)
    address = question(browser, [], all="1", query=f"issued_by={user.user_id}&page=2&page_size=10")
    confirm(browser, address)
    assert undeleted() == {other.pk}


def test_ten_need_no_proof_and_eleven_do(
    browser: Client, administrator: Membership, issue: Issue
) -> None:
    tokens = made(issue, administrator, 11)
    assert browser.get(question(browser, tokens[:10])).status_code == 200
    address = question(browser, tokens)
    again = browser.get(address)["Location"]
    assert again.startswith("/sign-in/again/")
    sent = {"shown": ",".join(str(token.pk) for token in tokens)}
    assert browser.post(address, sent)["Location"].startswith("/sign-in/again/")
    assert len(undeleted()) == 11
    assert browser.post(again, {"password": PASSWORD})["Location"] == address
    confirm(browser, address)
    assert undeleted() == set()


def test_only_what_the_question_has_shown_is_deleted(
    browser: Client, user: Membership, issue: Issue
) -> None:
    made(issue, user, 2)
    address = question(browser, [], all="1")
    page = browser.get(address).content.decode()
    shown = re.search(r'name="shown" value="([\d,:]*)"', page)
    assert shown
    (new,) = made(issue, user, 1)
    browser.post(address, {"shown": shown[1]})
    assert undeleted() == {new.pk}


def test_one_step_deletes_so_many_and_says_what_stays(
    browser: Client, user: Membership, issue: Issue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(views, "MOST_AT_ONCE", 2)
    made(issue, user, 3)
    address = question(browser, [], all="1")
    assert "1 other matching token will stay" in text(browser.get(address))
    confirm(browser, address)
    assert len(undeleted()) == 1


def test_others_delete_their_own_only(
    client: Client, administrator: Membership, user: Membership, issue: Issue, sign_in: SignIn
) -> None:
    (own,), (strange,) = made(issue, user, 1), made(issue, administrator, 1)
    sign_in(client, user)
    address = question(client, [own, strange])
    assert "You are about to delete 1 API token." in text(client.get(address))
    client.post(DELETE, {"shown": f"{own.pk},{strange.pk}"})
    assert undeleted() == {strange.pk}


def test_tokens_of_another_account_stay(
    browser: Client, stranger: Membership, issue: Issue
) -> None:
    (token,) = made(issue, stranger, 1)
    answer = browser.get(question(browser, [token]), follow=True)
    assert "they are already gone" in text(answer)
    browser.post(DELETE, {"shown": str(token.pk)})
    assert undeleted() == {token.pk}


def test_second_answer_finds_nothing_left(browser: Client, user: Membership, issue: Issue) -> None:
    tokens = made(issue, user, 2)
    sent = {"shown": ",".join(str(token.pk) for token in tokens)}
    browser.post(DELETE, sent)
    assert "they are already gone" in text(browser.post(DELETE, sent, follow=True))
    assert AuditEvent.objects.filter(kind="token.deleted").count() == 2


def test_answer_that_comes_too_late_says_that_they_are_gone(
    browser: Client, user: Membership, issue: Issue, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another answer has deleted them after this one had looked for them."""
    (token,) = made(issue, user, 1)
    monkeypatch.setattr(token_services, "delete_selected", lambda **_: [])
    answer = text(browser.post(DELETE, {"shown": str(token.pk)}, follow=True))
    assert "they are already gone" in answer
    assert "0 API tokens" not in answer


def test_question_names_issuers_in_the_order_of_the_list(
    browser: Client, administrator: Membership, user: Membership, issue: Issue
) -> None:
    tokens = [issue(each, name=name).token for each, name in ((user, "A"), (administrator, "B"))]
    tokens.append(issue(user, name="C").token)
    address = question(browser, [tokens[2], tokens[0], tokens[1]], query="sort=-name")
    answer = browser.get(address)
    assert [token.name for token in answer.context["tokens"]] == ["C", "B", "A"]
    said = answer.content.decode().split("<dialog")[1]
    assert said.count(f"<bdi>{user.user.get_full_name()}</bdi>") == 2
    assert f"<bdi>{administrator.user.get_full_name()}</bdi>" not in said


def test_filters_behind_many_ids_hold_for_all_that_match(
    browser: Client, user: Membership, issue: Issue
) -> None:
    (token,) = made(issue, user, 1)
    other = issue(user, name="Of another name").token
    ids = ",".join(map(str, [token.pk, other.pk, *range(100_000_001, 100_000_199)]))
    address = question(browser, [], all="1", query=urlencode({"ids": ids, "q": "No. 0"}))
    asked = browser.get(address)
    assert [each.pk for each in asked.context["tokens"]] == [token.pk]
    again = f"/sign-in/again/?{urlencode({'next': address})}"  # as it does for more of them
    led = browser.post(again, {"password": PASSWORD})["Location"]
    assert led in (address, "/"), "a part of the address would be about other tokens"


def test_nothing_is_selected_by_an_address_of_which_a_part_was_cut(
    browser: Client, user: Membership, issue: Issue
) -> None:
    made(issue, user, 2)
    answer = browser.get(DELETE, {"nothing": "x" * 3_400, "q": "9" * 200}, follow=True)
    assert "too long, so nothing was selected" in text(answer)
    assert answer.redirect_chain == [(LIST, 302)]


@pytest.mark.parametrize("shown", ["", "x", "-1", ",,", "9" * 400, "\0", "1," * 3000])
def test_rubbish_deletes_nothing(
    browser: Client, user: Membership, issue: Issue, shown: str
) -> None:
    made(issue, user, 1)
    assert browser.post(DELETE, {"shown": shown}).status_code == 302
    assert browser.post(SELECT, {"token": shown, "query": shown}).status_code == 302
    assert len(undeleted()) == 1


def test_nothing_ticked_is_told(browser: Client, user: Membership, issue: Issue) -> None:
    made(issue, user, 1)
    answer = browser.post(SELECT, {"query": "sort=name"}, follow=True)
    assert answer.redirect_chain == [(f"{LIST}?sort=name", 302)]
    assert "Select at least one token." in text(answer)


def test_a_hundred_long_ids_and_a_long_search_fit_into_the_address(
    browser: Client, user: Membership, issue: Issue
) -> None:
    Account.objects.update(token_limit=200)
    tokens = made(issue, user, 1)
    ids = [tokens[0].pk, *range(100_000_001, 100_000_100)]
    sent = {"token": ids, "query": "q=" + "%E4%BB%A4" * 200}
    answer = browser.post(SELECT, sent, follow=True)
    assert "You are about to delete 1 API token." in text(answer)


def test_it_leads_to_no_other_host(browser: Client, user: Membership, issue: Issue) -> None:
    (token,) = made(issue, user, 1)
    answer = browser.post(DELETE, {"shown": str(token.pk), "next": "https://evil.example/"})
    assert answer["Location"] == LIST


def test_each_issuer_is_told_once(
    administrator: Membership, user: Membership, engineer: Membership, issue: Issue, now: datetime
) -> None:
    tokens = [*made(issue, user, 2), *made(issue, engineer, 1), *made(issue, administrator, 1)]
    Notice.objects.all().delete()
    deleted = token_services.delete_selected(
        account=administrator.account,
        token_ids=[token.pk for token in tokens],
        by=Actor.member(administrator),
        at=now + timedelta(minutes=1),
    )
    assert len(deleted) == 4
    told = dict(Notice.objects.values_list("user__email", "title"))
    assert set(told) == {user.user.email, engineer.user.email}
    assert "deleted 2 of your API tokens" in told[user.user.email]


def test_service_deletes_all_or_none(
    administrator: Membership, user: Membership, issue: Issue, now: datetime
) -> None:
    tokens = [*made(issue, user, 1), *made(issue, administrator, 1)]
    with pytest.raises(PermissionDenied):
        token_services.delete_selected(
            account=user.account,
            token_ids=[token.pk for token in tokens],
            by=Actor.member(user),
            at=now,
        )
    assert len(undeleted()) == 2
    event = AuditEvent.objects.get(kind="token.delete_refused")
    assert (event.user, event.subject_id) == (user.user, tokens[1].pk)
    assert event.details["code"] == "forbidden"


def test_service_leaves_tokens_of_another_account_alone(
    administrator: Membership, stranger: Membership, issue: Issue, now: datetime
) -> None:
    (own,), (theirs,) = made(issue, administrator, 1), made(issue, stranger, 1)

    deleted = token_services.delete_selected(
        account=administrator.account,
        token_ids=[own.pk, theirs.pk],
        by=Actor.member(administrator),
        at=now,
    )

    assert deleted == [own]
    theirs.refresh_from_db()
    assert not theirs.is_deleted


def test_deleted_tokens_cannot_be_ticked(
    browser: Client, user: Membership, issue: Issue, now: datetime
) -> None:
    (token,) = made(issue, user, 1)
    assert f'value="{token.pk}"' in browser.get(LIST).content.decode()
    token_services.delete(token=token, by=Actor.member(user), at=now)
    page = browser.get(LIST, {"status": "deleted"}).content.decode()
    assert f'value="{token.pk}"' not in page
    assert "Delete selected" not in page


def test_token_that_was_handed_over_since_is_asked_about_again(
    browser: Client,
    administrator: Membership,
    user: Membership,
    engineer: Membership,
    issue: Issue,
    now: datetime,
) -> None:
    tokens = made(issue, user, 2)
    asked = question(browser, tokens)
    fields = hidden_fields(browser, asked)
    hand_over(
        account=user.account,
        token_ids=[tokens[0].pk],
        to=engineer,
        by=Actor.member(administrator),
        at=now,
    )

    refused = browser.post(asked, fields, follow=True)

    name = engineer.user.get_full_name()
    assert f"“No. 0” was handed over to {name} after you opened the page" in text(refused)
    assert undeleted() == {token.pk for token in tokens}
    confirm(browser, asked)
    assert undeleted() == set()
