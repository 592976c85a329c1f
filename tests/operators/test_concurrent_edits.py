"""Two operators have the same page open: neither takes back what the other changed."""

from datetime import datetime
from typing import Any

import pytest
from django.contrib import admin
from django.test import Client, RequestFactory

from accounts.account import services as account_services
from accounts.admin.filters import ListAdmin
from accounts.authorization.actor import Actor, EntryPoint
from accounts.http.concurrent_edits import ConcurrentEdits
from accounts.members import services as members
from accounts.models import Account, Membership, User
from accounts.roles import Role
from accounts.sign_in import services as sign_in_services
from accounts.users import services as users
from apitokens.scopes import services
from apitokens.scopes.services import ScopeFacts
from apitokens.tokens.handover import hand_over
from tests.conftest import Issue
from tests.operators.conftest import page
from tests.questions import hidden_fields

OTHER = Actor.operator(through=EntryPoint.COMMAND)
MEANWHILE = "after you opened the page. Save again to replace it."
ACCOUNT, USER, MEMBER = (f"accounts_{each}_change" for each in ("account", "user", "membership"))


def sent(browser: Client, address: str, form: dict[str, str], **fields: Any) -> str:
    return str(browser.post(address, {**form, **fields}, follow=True).content.decode())


def test_operator_who_renames_does_not_reopen_what_another_closed(
    browser: Client, account: Account, now: datetime
) -> None:
    address = page(ACCOUNT, account.pk)
    form = hidden_fields(browser, address)
    account_services.close_account(account=account, by=OTHER, at=now)

    sent(browser, address, form, name="Example Ltd", token_limit=50)

    account.refresh_from_db()
    assert (account.name, account.closed_at) == ("Example Ltd", now)


def test_operator_who_renames_does_not_take_back_the_limit(
    browser: Client, account: Account, now: datetime
) -> None:
    address = page(ACCOUNT, account.pk)
    form = hidden_fields(browser, address)
    account_services.change_token_limit(account=account, limit=500, by=OTHER, at=now)

    sent(browser, address, form, name="Example Ltd", token_limit=50)

    account.refresh_from_db()
    assert (account.name, account.most_tokens) == ("Example Ltd", 500)


def test_limit_that_both_changed_is_asked_about_once(
    browser: Client, account: Account, now: datetime
) -> None:
    address = page(ACCOUNT, account.pk)
    form = hidden_fields(browser, address)
    account_services.change_token_limit(account=account, limit=500, by=OTHER, at=now)

    refused = sent(browser, address, form, name=account.name, token_limit=80)

    assert f"This was changed to “500” {MEANWHILE}" in refused
    account.refresh_from_db()
    assert account.most_tokens == 500
    sent(browser, address, hidden_fields(browser, address), name=account.name, token_limit=80)
    account.refresh_from_db()
    assert account.most_tokens == 80


def test_operator_who_changes_an_address_does_not_reactivate_the_user(
    browser: Client, engineer: Membership, now: datetime
) -> None:
    address = page(USER, engineer.user_id)
    form = hidden_fields(browser, address)
    users.deactivate_user(user=engineer.user, by=OTHER, at=now)

    sent(browser, address, form, is_active="on", new_email="a@example.com", new_password="")

    user = User.objects.get(pk=engineer.user_id)
    assert (user.email, user.is_active) == ("a@example.com", False)


def test_address_that_both_changed_is_asked_about_once(
    browser: Client, engineer: Membership, now: datetime
) -> None:
    address = page(USER, engineer.user_id)
    form = hidden_fields(browser, address) | {"is_active": "on", "new_password": ""}
    sign_in_services.change_email(user=engineer.user, email="b@example.com", by=OTHER, at=now)

    sent(browser, address, form, new_email="")  # as it was shown
    assert MEANWHILE in sent(browser, address, form, new_email="a@example.com")
    assert User.objects.get(pk=engineer.user_id).email == "b@example.com"

    form |= hidden_fields(browser, address)
    sent(browser, address, form, new_email="a@example.com")
    assert User.objects.get(pk=engineer.user_id).email == "a@example.com"


def test_operator_does_not_take_back_a_role(
    browser: Client, engineer: Membership, now: datetime
) -> None:
    address = page(MEMBER, engineer.pk)
    form = hidden_fields(browser, address)
    members.change_role(membership=engineer, role=Role.USERS, by=OTHER, at=now)

    sent(browser, address, form, role=Role.ENGINEERS.value)

    engineer.refresh_from_db()
    assert engineer.held_role is Role.USERS


def test_removal_takes_no_tokens_that_came_since_the_page_was_opened(
    browser: Client, engineer: Membership, user: Membership, issue: Issue, now: datetime
) -> None:
    issue(engineer)
    other, address = issue(user).token, page(MEMBER, engineer.pk)
    form = hidden_fields(browser, address)
    hand_over(account=engineer.account, token_ids=[other.pk], to=engineer, by=OTHER, at=now)
    removal = {"role": Role.ENGINEERS.value, "remove": "on", "delete_tokens": "on"}

    assert "so nothing has been done" in sent(browser, address, form, **removal)

    other.refresh_from_db()
    engineer.refresh_from_db()
    assert (other.is_deleted, engineer.is_removed) == (False, False)
    sent(browser, address, hidden_fields(browser, address), **removal)
    other.refresh_from_db()
    assert other.is_deleted


def test_operator_who_renames_a_service_does_not_take_back_its_scopes(
    browser: Client, now: datetime
) -> None:
    made = services.register(
        account=None,
        code="cdn",
        name="CDN",
        scopes=[ScopeFacts("purge", "Purge", {})],
        by=OTHER,
        at=now,
    )
    address = page("apitokens_service_change", made.pk)
    form = hidden_fields(browser, address)
    both = [ScopeFacts("purge", "Purge", {}), ScopeFacts("read", "Read", {})]
    services.edit(service=made, name="CDN", names={}, scopes=both, by=OTHER, at=now)

    sent(
        browser,
        address,
        form,
        name="Example CDN",
        in_other_languages="",
        scope_lines="purge | Purge",
    )

    made.refresh_from_db()
    assert made.name == "Example CDN"
    assert {each.code for each in made.scopes.all()} == {"purge", "read"}


@pytest.mark.django_db
def test_all_pages_that_change_something_say_what_they_showed(
    operator: User, rf: RequestFactory
) -> None:
    request = rf.get("/")
    request.user = operator
    for model, page_of in admin.site._registry.items():
        if isinstance(page_of, ListAdmin) and page_of.has_change_permission(request):
            assert issubclass(page_of.form, ConcurrentEdits), model
