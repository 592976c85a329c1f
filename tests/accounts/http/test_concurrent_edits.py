"""Two people have the same form open: neither takes back what the other changed."""

import re
from datetime import datetime
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from accounts.models import Account, Membership
from accounts.roles import Role
from apitokens.models import APIToken
from sso.models import Connection, InactivityAction
from tests.conftest import Issue, SignIn
from tests.factories import ACCOUNT_ID, PASSWORD, ConnectionFactory, service_account

ACCOUNT = f"/accounts/{ACCOUNT_ID}/"
MEANWHILE = "after you opened the page. Save again to replace it."
pytestmark = pytest.mark.django_db


@pytest.fixture
def browser(client: Client, administrator: Membership, sign_in: SignIn) -> Client:
    sign_in(client, administrator)
    return client


def opened(browser: Client, address: str) -> dict[str, str]:
    """What the form of the page sends if nothing is touched."""
    page = browser.get(address)
    form = page.context["form"]
    sent = {"seen": shown_in(page)}
    for field in form:
        value = field.value()
        if value not in (None, False, []):
            sent[field.html_name] = "on" if value is True else value
    return sent


def shown_in(page: Any) -> str:
    found = re.search(r'name="seen" value="([^"]*)"', page.content.decode())
    assert found is not None
    return found[1]


@pytest.fixture
def token(administrator: Membership, issue: Issue) -> APIToken:
    return issue(administrator, name="Shop", description="Purges\nat night").token


def of_token(token: APIToken) -> str:
    return f"{ACCOUNT}api-tokens/{token.pk}/edit/"


def test_field_that_was_not_touched_keeps_what_a_colleague_gave_it(
    browser: Client, token: APIToken
) -> None:
    mine = opened(browser, of_token(token))
    mine["description"] = mine["description"].replace("\n", "\r\n")  # as browsers send it
    APIToken.objects.filter(pk=token.pk).update(name="Shop of Berlin", description="By day")

    saved = browser.post(of_token(token), {**mine, "role": Role.USERS.value})

    assert saved.status_code == 302
    token.refresh_from_db()
    assert (token.name, token.description, token.role) == ("Shop of Berlin", "By day", Role.USERS)


def test_field_that_both_changed_is_refused_once_and_says_how(
    browser: Client, token: APIToken
) -> None:
    mine = opened(browser, of_token(token)) | {"name": "Mine"}
    APIToken.objects.filter(pk=token.pk).update(name="Theirs", description="By day")

    refused = browser.post(of_token(token), mine)

    assert refused.status_code == 400
    assert f"This was changed to “Theirs” {MEANWHILE}" in refused.content.decode()
    assert refused.context["form"]["name"].value() == "Mine"
    assert refused.context["form"]["description"].value() == "By day"
    token.refresh_from_db()
    assert token.name == "Theirs"

    again = {**mine, "description": "By day", "seen": shown_in(refused)}
    assert browser.post(of_token(token), again).status_code == 302
    token.refresh_from_db()
    assert (token.name, token.description) == ("Mine", "By day")


def test_same_change_of_both_is_no_conflict(browser: Client, token: APIToken) -> None:
    mine = opened(browser, of_token(token)) | {"name": "Ours"}
    APIToken.objects.filter(pk=token.pk).update(name="Ours")
    assert browser.post(of_token(token), mine).status_code == 302


@pytest.mark.parametrize("seen", ["", "name", "name=", "=", "x=y name=zz", "\x00", "name=ä " * 99])
def test_fingerprints_of_nothing_do_no_harm(browser: Client, token: APIToken, seen: str) -> None:
    answer = browser.post(of_token(token), opened(browser, of_token(token)) | {"seen": seen})
    assert answer.status_code == 302
    token.refresh_from_db()
    assert (token.name, token.description) == ("Shop", "Purges\nat night")


def test_role_that_a_colleague_changed_is_not_taken_back(browser: Client, user: Membership) -> None:
    address = f"{ACCOUNT}users/{user.user_id}/role/"
    mine = opened(browser, address)
    Membership.objects.filter(pk=user.pk).update(role=Role.ENGINEERS)

    assert browser.post(address, mine).status_code == 302  # nothing was touched
    user.refresh_from_db()
    assert user.role == Role.ENGINEERS

    refused = browser.post(address, {**mine, "role": Role.ADMINISTRATORS.value})
    assert refused.status_code == 400
    assert f"This was changed to “Engineers” {MEANWHILE}" in refused.content.decode()
    user.refresh_from_db()
    assert user.role == Role.ENGINEERS


def test_company_name_is_not_taken_back(browser: Client) -> None:
    mine = opened(browser, ACCOUNT)
    Account.objects.filter(pk=ACCOUNT_ID).update(name="New Example Inc.")

    assert browser.post(ACCOUNT, mine).status_code == 302
    assert Account.objects.get(pk=ACCOUNT_ID).name == "New Example Inc."
    assert browser.post(ACCOUNT, {**mine, "name": "Other"}).status_code == 400
    assert Account.objects.get(pk=ACCOUNT_ID).name == "New Example Inc."


def test_members_of_a_service_account_are_not_taken_back(
    browser: Client, administrator: Membership, user: Membership, now: datetime
) -> None:
    made = service_account(administrator.account, at=now)
    address = reverse("accounts:edit_service_account", args=[ACCOUNT_ID, made.membership.user_id])
    mine = opened(browser, address)
    made.issuers.add(user)

    assert browser.post(address, {**mine, "description": "Every night"}).status_code == 302
    made.refresh_from_db()
    assert made.description == "Every night"
    assert [each.pk for each in made.issuers.all()] == [user.pk]


def test_profile_of_another_tab_is_not_taken_back(
    browser: Client, administrator: Membership
) -> None:
    mine = opened(browser, "/profile/")
    type(administrator.user).objects.filter(pk=administrator.user_id).update(time_zone="Asia/Baku")
    assert browser.post("/profile/", {**mine, "name": "Maria O."}).status_code == 302
    administrator.user.refresh_from_db()
    assert (administrator.user.name, administrator.user.time_zone) == ("Maria O.", "Asia/Baku")


def test_settings_of_single_sign_on_are_not_taken_back(
    browser: Client, administrator: Membership
) -> None:
    browser.post(reverse("account_reauthenticate"), {"password": PASSWORD})
    here = ConnectionFactory.create(account=administrator.account, takes_new_people=False)
    settings, rule = (reverse(f"sso:{name}", args=[ACCOUNT_ID]) for name in ("settings", "absence"))
    mine, mine_of_rule = opened(browser, settings), opened(browser, rule)
    Connection.objects.filter(pk=here.pk).update(
        takes_new_people=True, idle_action=InactivityAction.SUSPEND, idle_days=9
    )

    assert browser.post(settings, {**mine, "name": "Example ID"}).status_code == 302
    assert browser.post(rule, {**mine_of_rule}).status_code == 302
    here.refresh_from_db()
    assert (here.name, here.takes_new_people) == ("Example ID", True)
    assert (here.idle_action, here.idle_days) == (InactivityAction.SUSPEND, 9)

    refused = browser.post(rule, {**mine_of_rule, "days": "77"})
    assert f"This was changed to “9” {MEANWHILE}" in refused.content.decode()
