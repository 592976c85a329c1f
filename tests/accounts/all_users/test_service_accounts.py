"""All users → Service accounts, and what removing offers for tokens."""

import re
from datetime import datetime
from html import unescape
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils.html import strip_tags

from accounts.authorization.actor import Actor, EntryPoint
from accounts.models import Account, Membership, ServiceAccount
from accounts.people.search import label_of
from accounts.roles import Role
from accounts.service_accounts import contacts
from apitokens.models import APIToken
from notifications.models import Mail
from tests.conftest import Issue, SignIn
from tests.factories import (
    ACCOUNT_ID,
    MembershipFactory,
    contact_agrees,
    issue,
    service_account,
)
from tests.questions import hidden_fields, suggested

pytestmark = pytest.mark.django_db

LIST = f"/accounts/{ACCOUNT_ID}/users/service-accounts/"


@pytest.fixture
def browser(client: Client, administrator: Membership, sign_in_now: SignIn) -> Client:
    """The browser of an Administrator who has just signed in."""
    sign_in_now(client, administrator)
    return client


@pytest.fixture
def deploys(account: Account, engineer: Membership, now: datetime) -> ServiceAccount:
    return service_account(account, at=now, issuers=[engineer])


def text(answer: Any) -> str:
    return re.sub(r"\s+", " ", unescape(strip_tags(answer.content.decode())))


def address(service: ServiceAccount, more: str = "") -> str:
    return f"{LIST}{service.membership.user_id}/{more}"


def test_administrator_makes_one_with_the_form(browser: Client, engineer: Membership) -> None:
    form = {
        "name": "Deploys",
        "description": "Purges\r\nthe cache",
        "role": str(Role.ENGINEERS),
        "contact_email": "ops@example.com",
        "issuers": [str(engineer.user_id)],
    }
    assert browser.post(f"{LIST}new/", form).status_code == 302

    made = ServiceAccount.objects.get()
    assert (made.name, made.held_role, made.contact_email) == (
        *("Deploys", Role.ENGINEERS, "ops@example.com"),
    )
    assert made.description == "Purges\nthe cache"
    assert list(made.issuers.all()) == [engineer]
    page = text(browser.get(LIST))
    assert "Deploys Purges the cache Engineers ops@example.com" in page


def test_page_says_that_the_contact_has_not_answered_and_asks_again(
    browser: Client, account: Account, now: datetime
) -> None:
    deploys = service_account(account, at=now, agrees=False, contact_email="ops@example.com")
    ask_again = address(deploys, "ask/")
    assert "ops@example.com Not confirmed yet" in text(browser.get(LIST))

    opened = hidden_fields(browser, LIST, to=ask_again)
    answer = browser.post(ask_again, opened, follow=True)

    assert "A confirmation email was sent to ops@example.com" in text(answer)
    assert Mail.objects.filter(address="ops@example.com").count() == 2
    assert "This was changed after you opened the page" in text(
        browser.post(ask_again, opened, follow=True)
    )
    contact_agrees(deploys)
    page = browser.get(LIST)
    assert "Not confirmed yet" not in text(page)
    assert ask_again not in page.content.decode()


def test_page_says_that_the_contact_declined(
    browser: Client, account: Account, now: datetime
) -> None:
    deploys = service_account(account, at=now, agrees=False, contact_email="ops@example.com")
    contacts.answer(
        signed=contacts.path(deploys).split("/")[-2],
        agrees=False,
        by=Actor.operator(through=EntryPoint.COMMAND),
        at=now,
    )

    assert "ops@example.com Doesn't want notifications" in text(browser.get(LIST))
    form = {"name": "More", "role": str(Role.ENGINEERS), "contact_email": "ops@example.com"}
    answer = browser.post(f"{LIST}new/", form)
    assert answer.status_code == 400
    assert "The owner of this address doesn't want notifications from this account." in text(answer)


def test_saving_says_that_a_new_contact_is_asked(
    browser: Client, deploys: ServiceAccount, now: datetime
) -> None:
    form = {"name": "Deploys", "role": str(Role.ENGINEERS), "contact_email": "ops@example.com"}

    first = browser.post(address(deploys), form, follow=True)
    second = browser.post(address(deploys), form, follow=True)

    assert "A confirmation email was sent to ops@example.com" in text(first)
    assert "A confirmation email" not in text(second)


@pytest.mark.parametrize(
    "wrong",
    [{"name": ""}, {"role": "99"}, {"issuers": ["x"]}, {"contact": "-1"}, {"issuers": ["999999"]}],
)
def test_bad_form_is_shown_again_and_makes_nothing(browser: Client, wrong: dict[str, Any]) -> None:
    answer = browser.post(f"{LIST}new/", {"name": "Deploys", "role": "2", **wrong})

    assert answer.status_code == 400
    assert not ServiceAccount.objects.exists()


def test_form_shows_what_is_there_and_saves_what_changes(
    browser: Client, deploys: ServiceAccount, administrator: Membership
) -> None:
    page = browser.get(address(deploys)).content.decode()
    assert 'value="Deploys"' in page
    assert page.count("checked>") == 2  # the role, and the engineer

    form = {"name": "Purges", "role": str(Role.USERS), "contact": str(administrator.user_id)}
    assert browser.post(address(deploys), form).status_code == 302

    deploys = ServiceAccount.objects.get()
    assert (deploys.name, deploys.held_role, deploys.contact) == (
        *("Purges", Role.USERS, administrator),
    )
    assert not deploys.issuers.exists()


def test_switched_off_and_on(browser: Client, deploys: ServiceAccount) -> None:
    browser.post(address(deploys, "switch/"), {"is_on": "0"})
    assert not ServiceAccount.objects.get().is_on
    assert "Turned off" in text(browser.get(LIST))

    browser.post(address(deploys, "switch/"), {"is_on": "1"})
    assert ServiceAccount.objects.get().is_on


def test_removal_hands_tokens_over(
    browser: Client, deploys: ServiceAccount, administrator: Membership, now: datetime
) -> None:
    by = Actor.member(administrator)
    token = issue(deploys.membership, by=by, role=Role.ENGINEERS, at=now).token
    page = text(browser.get(address(deploys, "remove/")))
    assert "has 1 active API token" in page

    refused = browser.post(address(deploys, "remove/"))
    assert refused.status_code == 403
    assert "as it has active tokens" in text(refused)
    form = {"hand_over_to": str(administrator.user_id)}
    assert browser.post(address(deploys, "remove/"), form).status_code == 302

    assert not ServiceAccount.objects.of(ACCOUNT_ID).exists()
    assert APIToken.objects.get(pk=token.pk).issuer == administrator


def test_removing_a_person_offers_receivers_whose_role_suffices(
    browser: Client,
    deploys: ServiceAccount,
    administrator: Membership,
    engineer: Membership,
    user: Membership,
    issue: Issue,
) -> None:
    token = issue(engineer, role=Role.ENGINEERS).token
    remove = f"/accounts/{ACCOUNT_ID}/users/{engineer.user_id}/remove/"

    page = browser.get(remove).content.decode()
    able = {administrator.user_id, deploys.membership.user_id}
    assert set(suggested(browser, page, "@")) == able
    chosen = str(deploys.membership.user_id)
    both = {"hand_over_to": chosen, "delete_tokens": "on"}
    for form in ({"hand_over_to": str(user.user_id)}, both):
        assert browser.post(remove, form).status_code == 403

    assert browser.post(remove, {"hand_over_to": chosen}).status_code == 302
    engineer.refresh_from_db()
    assert engineer.is_removed
    assert APIToken.objects.get(pk=token.pk).issuer == deploys.membership


def test_members_page_and_removal_do_not_know_service_accounts(
    browser: Client, deploys: ServiceAccount
) -> None:
    people = f"/accounts/{ACCOUNT_ID}/users/"
    assert "Deploys" not in text(browser.get(people))
    for action in ("role", "remove"):
        found = browser.get(f"{people}{deploys.membership.user_id}/{action}/")
        assert found.status_code == 404


def test_list_costs_the_same_number_of_queries_for_any_number(
    browser: Client,
    account: Account,
    engineer: Membership,
    user: Membership,
    now: datetime,
) -> None:
    def queries() -> int:
        with CaptureQueriesContext(connection) as counted:
            browser.get(LIST)
        return len(counted)

    service_account(account, at=now, contact=user, issuers=[engineer])
    browser.get(LIST)
    one = queries()
    for _ in range(4):
        service_account(account, at=now, contact=engineer, issuers=[engineer, user])
    assert queries() == one


def boxes(form: Any) -> dict[str, Any]:
    """What the form sends if nothing is touched."""
    return {field.html_name: field.value() or "" for field in form} | {"seen": form.seen}


def test_edit_keeps_who_is_deactivated_and_says_so(
    browser: Client, administrator: Membership, engineer: Membership, now: datetime
) -> None:
    made = service_account(administrator.account, at=now, issuers=[engineer], contact=engineer)
    type(engineer.user).objects.filter(pk=engineer.user_id).update(is_active=False)
    page = browser.get(address(made))
    name = f"{engineer.user.get_full_name()} (deactivated) ({engineer.user.email})"
    assert page.text.count(name) == 2  # as the contact, and with a box
    sent = boxes(page.context["form"])

    assert browser.post(address(made), {**sent, "name": "Renamed"}).status_code == 302

    made = ServiceAccount.objects.get(pk=made.pk)
    assert made.name == "Renamed"
    assert (list(made.issuers.all()), made.contact) == ([engineer], engineer)

    sent = boxes(browser.get(address(made)).context["form"])
    assert browser.post(address(made), {**sent, "issuers": []}).status_code == 302
    assert not made.issuers.exists()


def test_who_is_deactivated_is_not_named_anew(
    browser: Client, engineer: Membership, user: Membership, deploys: ServiceAccount
) -> None:
    type(user.user).objects.filter(pk=user.user_id).update(is_active=False)
    page = browser.get(address(deploys))
    assert user.user.get_full_name() not in text(page)
    sent = boxes(page.context["form"])

    refused = browser.post(address(deploys), {**sent, "issuers": [engineer.user_id, user.user_id]})

    assert refused.status_code == 400
    assert list(deploys.issuers.all()) == [engineer]


def test_who_was_typed_is_added_before_the_rest_is_filled_in(
    browser: Client, engineer: Membership, user: Membership
) -> None:
    sent = {"name": " ", "description": "Half", "issuers": [engineer.user_id], "add": "1"}

    answer = browser.post(f"{LIST}new/", {**sent, "another_issuer": user.user.email[:-4]})

    form = answer.context["form"]
    assert answer.status_code == 200
    assert {each.value for each in form.chosen_issuers} == {engineer.user_id, user.user_id}
    assert (form["another_issuer"].value(), form["description"].value()) == (None, "Half")
    assert "problem" not in text(answer)
    assert not ServiceAccount.objects.exists()
    again = browser.post(f"{LIST}new/", {**sent, "another_issuer": engineer.user.email})
    assert [each.value for each in again.context["form"].chosen_issuers] == [engineer.user_id]


@pytest.mark.parametrize(
    ("typed", "sentence"),
    [
        ("", "Enter a name or an email address."),
        ("zzz", "No one in this account matches. Check the name or email."),
        ("example.com", "Several people match"),
        ("deploys", "No one in this account matches. Check the name or email."),
        ("x" * 501, "Ensure this value has at most 500 characters"),
    ],
)
def test_who_cannot_be_added_is_told_and_nothing_typed_is_lost(
    browser: Client, deploys: ServiceAccount, engineer: Membership, typed: str, sentence: str
) -> None:
    sent = {"name": "Deploys", "contact": "zz", "issuers": [engineer.user_id], "add": "1"}

    answer = browser.post(f"{LIST}new/", {**sent, "another_issuer": typed})

    form = answer.context["form"]
    assert answer.status_code == 400
    assert list(form.errors) == ["another_issuer"]
    assert sentence in text(answer)
    assert (form["another_issuer"].value(), form["contact"].value()) == (typed, "zz")
    assert [each.value for each in form.chosen_issuers] == [engineer.user_id]


def test_who_is_still_in_the_search_field_is_saved_too(
    browser: Client, deploys: ServiceAccount, engineer: Membership, user: Membership
) -> None:
    sent = boxes(browser.get(address(deploys)).context["form"])

    unsure = browser.post(address(deploys), {**sent, "another_issuer": user.user.email[:-4]})
    shown = unsure.context["form"]["another_issuer"].value()
    assert "Do you mean" in text(unsure)
    assert browser.post(address(deploys), {**sent, "another_issuer": shown}).status_code == 302

    assert set(deploys.issuers.all()) == {engineer, user}


def test_adding_takes_back_nothing_that_another_tab_has_saved(
    browser: Client, deploys: ServiceAccount, engineer: Membership, user: Membership
) -> None:
    opened = boxes(browser.get(address(deploys)).context["form"])
    third = MembershipFactory.create(account=user.account)
    other = {**opened, "name": "Renamed", "issuers": [engineer.user_id, third.user_id]}
    assert browser.post(address(deploys), other).status_code == 302

    mine = {**opened, "another_issuer": user.user.email}
    added = browser.post(address(deploys), {**mine, "add": "1"})
    form = added.context["form"]
    assert {each.value for each in form.chosen_issuers} == {
        *(engineer.user_id, third.user_id, user.user_id),
    }
    assert form["name"].value() == "Renamed"

    told = browser.post(address(deploys), {**mine, "name": "Mine", "add": "1"})
    assert told.status_code == 400
    assert "This was changed to “Renamed” after you opened the page." in text(told)


def test_contact_that_another_tab_has_changed_is_not_taken_back(
    browser: Client, deploys: ServiceAccount, engineer: Membership, user: Membership
) -> None:
    opened = boxes(browser.get(address(deploys)).context["form"])
    assert browser.post(address(deploys), {**opened, "contact": user.user_id}).status_code == 302

    assert browser.post(address(deploys), {**opened, "name": "New"}).status_code == 302
    deploys.refresh_from_db()
    assert deploys.contact == user
    refused = browser.post(address(deploys), {**opened, "contact": engineer.user_id})
    assert f"This was changed to “{label_of(user)}” after you opened the page." in text(refused)


@pytest.mark.both
def test_pages_that_choose_people_do_not_grow_with_them(
    browser: Client, deploys: ServiceAccount, engineer: Membership, issue: Issue
) -> None:
    token = issue(engineer, role=Role.USERS).token
    pages = [
        *(f"{LIST}new/", address(deploys)),
        f"/accounts/{ACCOUNT_ID}/users/{engineer.user_id}/remove/?q={engineer.user.email}",
        f"/accounts/{ACCOUNT_ID}/api-tokens/selection/hand-over/?ids={token.pk}",
    ]

    def costs() -> list[tuple[int, int]]:
        found = []
        for each in pages:
            browser.get(each)
            with CaptureQueriesContext(connection) as counted:
                page = browser.get(each)
            found.append((len(counted), len(page.content) // 1000))
        return found

    few = costs()
    MembershipFactory.create_batch(40, account=engineer.account)
    assert costs() == few


@pytest.mark.parametrize("path", ["users/service-accounts/", "api-tokens/access/"])
def test_tokens_are_counted_of_those_who_are_shown(
    browser: Client, deploys: ServiceAccount, path: str
) -> None:
    with CaptureQueriesContext(connection) as asked:
        browser.get(f"/accounts/{ACCOUNT_ID}/{path}")
    counts = [each["sql"] for each in asked if "GROUP BY" in each["sql"]]
    assert counts
    assert all('"issuer_id" IN (' in each for each in counts)
