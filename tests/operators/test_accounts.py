"""What operators do with accounts."""

from datetime import datetime
from typing import Any

import pytest
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from accounts.models import Account, Membership, User
from apitokens.verification.refusals import Refusal, Refused
from apitokens.verification.verify import verify
from tests.conftest import Issue
from tests.factories import AccountFactory, MembershipFactory
from tests.operators.conftest import Events, changes, page, shown

LIST = "accounts_account_changelist"


def change(browser: Client, account: Account, **fields: Any) -> Any:
    """Send the form of the account with these fields changed."""
    form = {"name": account.name, "token_limit": account.token_limit}
    if account.closed_at:
        form["closed"] = "on"
    return browser.post(page("accounts_account_change", account.pk), {**form, **fields})


def test_list_says_how_many_tokens_are_in_use(
    browser: Client, administrator: Membership, issue: Issue, now: datetime
) -> None:
    for _number in range(3):
        issue(administrator)

    row = shown(browser, page(LIST)).partition('class="field-in_use"')[2]

    assert row.startswith(">3<")


@pytest.mark.parametrize("accounts", [1, 30])
def test_list_costs_the_same_for_any_number_of_accounts(
    browser: Client,
    accounts: int,
    issue: Issue,
    django_assert_num_queries: DjangoAssertNumQueries,
) -> None:
    for _number in range(accounts):
        issue(MembershipFactory.create())

    with django_assert_num_queries(4):  # session, operator, count, rows
        shown(browser, page(LIST))


def test_account_is_renamed_on_the_record(
    browser: Client, account: Account, operator: User, events: Events
) -> None:
    assert change(browser, account, name="Example & Sons").status_code == 302

    account.refresh_from_db()
    assert account.name == "Example & Sons"
    (event,) = events("account.renamed", account=account)
    assert event.details == {"before": "Example Inc.", "after": "Example & Sons"}
    assert (event.user, event.through, event.address) == (operator, "admin", "192.0.2.7")


def test_token_limit_is_changed_on_the_record(
    browser: Client, account: Account, events: Events
) -> None:
    change(browser, account, token_limit=80)

    account.refresh_from_db()
    assert account.token_limit == 80
    (event,) = events("account.limit_changed", account=account)
    assert event.details == {"before": 50, "after": 80}


@pytest.mark.parametrize("limit", ["", "-1", "100001", "99999999999999999999", "many", "1.5", "\0"])
def test_token_limit_that_makes_no_sense_changes_nothing(
    browser: Client, account: Account, limit: str
) -> None:
    answer = change(browser, account, name="Renamed too", token_limit=limit)

    assert answer.status_code == 400
    account.refresh_from_db()
    assert (account.name, account.token_limit) == ("Example Inc.", 50)
    assert not changes()


@pytest.mark.parametrize("name", ["", "x" * 151, "two\nlines", "a\0b", "\u202eevil"])
def test_name_that_makes_no_sense_changes_nothing(
    browser: Client, account: Account, name: str
) -> None:
    assert change(browser, account, name=name).status_code == 400

    account.refresh_from_db()
    assert account.name == "Example Inc."


def test_saving_without_a_change_leaves_no_event(browser: Client, account: Account) -> None:
    assert change(browser, account).status_code == 302

    assert not changes()


def test_closing_an_account_stops_its_tokens_and_opening_it_brings_them_back(
    browser: Client, administrator: Membership, issue: Issue, now: datetime, events: Events
) -> None:
    presented, account = issue(administrator).key.spell(), administrator.account

    change(browser, account, closed="on")
    with pytest.raises(Refused) as refused:
        verify(presented=presented, at=now)
    assert refused.value.code is Refusal.ISSUER_INACTIVE
    account.refresh_from_db()

    form = {"name": account.name, "token_limit": account.token_limit}
    browser.post(page("accounts_account_change", account.pk), form)
    assert verify(presented=presented, at=now).account_id == account.pk
    assert len(events("account.closed")) == len(events("account.reopened")) == 1


def test_accounts_are_neither_added_nor_deleted_here(browser: Client, account: Account) -> None:
    assert browser.post(page("accounts_account_add"), {"name": "New"}).status_code == 403
    assert (
        browser.post(page("accounts_account_delete", account.pk), {"post": "yes"}).status_code
        == 403
    )
    assert Account.objects.get() == account


def test_search_finds_by_name_and_by_id(browser: Client, account: Account) -> None:
    other = AccountFactory.create(name="Umbrella")

    assert "Umbrella" in shown(browser, page(LIST), q="umbr")
    assert "Example Inc." not in shown(browser, page(LIST), q="umbr")
    assert "Umbrella" in shown(browser, page(LIST), q=str(other.pk))


def test_filter_tells_open_from_closed(browser: Client, account: Account, now: datetime) -> None:
    AccountFactory.create(name="Umbrella", closed_at=now)

    assert "Umbrella" not in shown(browser, page(LIST), state="open")
    assert "Example Inc." not in shown(browser, page(LIST), state="closed")
    assert "Umbrella" in shown(browser, page(LIST), state="nonsense")


def test_form_asks_for_name_limit_and_state_alone(browser: Client, account: Account) -> None:
    answer = browser.get(page("accounts_account_change", account.pk))

    assert list(answer.context["adminform"].form.fields) == ["name", "token_limit", "closed"]
