"""Account: what it says, who may change its name, and how one leaves."""

import re
from datetime import datetime
from html import unescape
from typing import Any

import pytest
from django.test import Client
from django.utils.html import strip_tags

from accounts.models import AuditEvent, Membership
from apitokens.models import APIToken
from tests.conftest import Issue, SignIn
from tests.factories import ACCOUNT_ID, MembershipFactory

pytestmark = pytest.mark.django_db

URL = f"/accounts/{ACCOUNT_ID}/"


@pytest.fixture
def browser(client: Client, user: Membership, sign_in_now: SignIn) -> Client:
    """The browser of a Users member who has just signed in."""
    sign_in_now(client, user)
    return client


def text(answer: Any) -> str:
    return re.sub(r"\s+", " ", unescape(strip_tags(answer.content.decode())))


def leave_url(member: Membership) -> str:
    return f"/accounts/{member.account_id}/leave/"


def is_present(member: Membership) -> bool:
    return Membership.objects.present().filter(pk=member.pk).exists()


def test_page_tells_name_id_and_limit(browser: Client, user: Membership, issue: Issue) -> None:
    issue(user)
    said = text(browser.get(URL))
    assert user.account.name in said
    assert str(user.account_id) in said
    assert "1 of 50 in use" in said


def test_page_lists_the_accounts_of_the_person(
    browser: Client, user: Membership, stranger: Membership, now: datetime
) -> None:
    MembershipFactory.create(user=user.user, account__name="Second Ltd.")
    MembershipFactory.create(user=user.user, account__name="Former Ltd.", removed_at=now)
    said = text(browser.get(URL))
    assert "Second Ltd." in said
    assert "Former Ltd." not in said
    assert "Globex" not in said


def test_person_without_an_account_is_told_so(
    browser: Client, user: Membership, now: datetime
) -> None:
    Membership.objects.update(removed_at=now)
    answer = browser.get("/profile/account/")
    assert answer.status_code == 403
    assert "You don't belong to an account" in text(answer)
    assert browser.get(URL).status_code == 404


def test_administrator_renames_the_account(
    client: Client, administrator: Membership, sign_in: SignIn
) -> None:
    sign_in(client, administrator)
    answer = client.post(URL, {"name": " Initech "}, follow=True)
    assert "The company name was saved." in text(answer)
    administrator.account.refresh_from_db()
    assert administrator.account.name == "Initech"
    assert AuditEvent.objects.get(kind="account.renamed").details["after"] == "Initech"


@pytest.mark.parametrize("name", ["", " ", "\0", "a\nb", "a\u202eb", "n" * 151, "n" * 100_000])
def test_bad_name_is_told_and_changes_nothing(
    client: Client, administrator: Membership, sign_in: SignIn, name: str
) -> None:
    sign_in(client, administrator)
    answer = client.post(URL, {"name": name})
    assert answer.status_code == 400
    before = administrator.account.name
    administrator.account.refresh_from_db()
    assert administrator.account.name == before
    assert before in text(answer)


def test_others_do_not_rename_it(browser: Client, user: Membership) -> None:
    assert browser.post(URL, {"name": "Initech"}).status_code == 403
    user.account.refresh_from_db()
    assert user.account.name == "Example Inc."
    assert 'name="name"' not in browser.get(URL).content.decode()


# --- Leaving -----------------------------------------------------------------------------------


def test_person_leaves(browser: Client, administrator: Membership, user: Membership) -> None:
    assert "Leave the account" in text(browser.get(leave_url(user)))
    assert is_present(user)
    answer = browser.post(leave_url(user), follow=True)
    assert "You no longer belong to Example Inc." in text(answer)
    assert not is_present(user)


def test_person_leaves_another_account_than_they_work_in(
    browser: Client, administrator: Membership, user: Membership
) -> None:
    other = MembershipFactory.create(user=user.user, role=user.role)
    MembershipFactory.create(account=other.account)
    browser.post(leave_url(other))
    assert not is_present(other)
    assert is_present(user)


def test_active_tokens_hold_a_person_unless_they_go_too(
    browser: Client, administrator: Membership, user: Membership, issue: Issue
) -> None:
    token = issue(user).token
    refused = browser.post(leave_url(user))
    assert refused.status_code == 403
    assert "while you have active tokens" in text(refused)
    assert is_present(user)
    browser.post(leave_url(user), {"delete_tokens": "on"})
    assert not is_present(user)
    assert APIToken.objects.get(pk=token.pk).is_deleted


def test_last_administrator_stays(
    client: Client, administrator: Membership, sign_in_now: SignIn
) -> None:
    sign_in_now(client, administrator)
    answer = client.post(leave_url(administrator))
    assert answer.status_code == 403
    assert "This is the account's last Administrator" in text(answer)
    assert is_present(administrator)


def test_accounts_of_others_cannot_be_left(browser: Client, stranger: Membership) -> None:
    for account_id in (stranger.account_id, 0, 10**30):
        assert browser.post(f"/accounts/{account_id}/leave/").status_code == 404
    assert is_present(stranger)


def test_leaving_takes_a_fresh_sign_in(
    client: Client, administrator: Membership, user: Membership, sign_in: SignIn
) -> None:
    sign_in(client, user)
    answer = client.post(leave_url(user))
    assert answer.status_code == 302
    assert answer.headers["Location"].startswith("/sign-in/again/")
    assert is_present(user)
