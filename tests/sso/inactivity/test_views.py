"""The page of the inactivity policy."""

import re
from datetime import datetime, timedelta
from html import unescape
from typing import Any

import pytest
from django.test import Client
from django.utils.html import strip_tags

from accounts.authorization.actor import Actor, EntryPoint
from accounts.members import suspension
from accounts.models import Membership
from accounts.roles import Role
from sso.inactivity import listing
from sso.models import Connection, InactivityAction
from tests.conftest import Issue, SignIn
from tests.factories import ACCOUNT_ID, ConnectionFactory, MembershipFactory

pytestmark = pytest.mark.django_db

PAGE = f"/accounts/{ACCOUNT_ID}/single-sign-on/absence/"
FORM = {"action": "suspend", "days": "14"}


@pytest.fixture
def connection(administrator: Membership) -> Connection:
    return ConnectionFactory.create(account=administrator.account, name="Okta")


@pytest.fixture
def browser(
    client: Client, connection: Connection, administrator: Membership, sign_in_now: SignIn
) -> Client:
    """The browser of an Administrator who has just signed in."""
    sign_in_now(client, administrator)
    return client


@pytest.fixture
def member(user: Membership, now: datetime, issue: Issue) -> Membership:
    """A member with an API token whose last login by SSO was 40 days ago."""
    user.sso_at = now - timedelta(days=40)
    user.save()
    issue(user)
    return user


def text(answer: Any) -> str:
    return re.sub(r"\s+", " ", unescape(strip_tags(answer.content.decode())))


def decide(connection: Connection, action: InactivityAction, since: datetime) -> None:
    connection.idle_action, connection.idle_action_since = action, since
    connection.save()


def test_policy_is_off_by_default(browser: Client) -> None:
    form = browser.get(PAGE).context["form"]
    assert (form["action"].value(), form["days"].value()) == ("nothing", 30)


def test_administrator_chooses_a_policy(browser: Client, connection: Connection) -> None:
    answer = browser.post(PAGE, FORM, follow=True)
    assert answer.redirect_chain == [(PAGE, 302)]
    assert "The rule was saved." in text(answer)
    connection.refresh_from_db()
    assert (connection.idle_action, connection.idle_days) == ("suspend", 14)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"action": ""}, "Choose what should happen."),
        ({"action": "delete"}, "Choose what should happen from the list."),
        ({"days": "0"}, "greater than or equal to 1"),
        ({"days": "366"}, "less than or equal to 365"),
        ({"days": "x"}, "Enter a whole number."),
        ({"days": ""}, "This field is required."),
    ],
)
def test_bad_choice_is_refused_in_words(
    browser: Client, connection: Connection, change: dict[str, str], sentence: str
) -> None:
    answer = browser.post(PAGE, FORM | change)
    assert answer.status_code == 400
    assert sentence in text(answer)
    connection.refresh_from_db()
    assert connection.idle_action == InactivityAction.NOTHING


@pytest.mark.parametrize("role", [role for role in Role if role is not Role.ADMINISTRATORS])
def test_it_is_for_administrators_only(
    client: Client, connection: Connection, sign_in_now: SignIn, role: Role
) -> None:
    member = MembershipFactory.create(account=connection.account, role=role)
    sign_in_now(client, member)
    assert client.get(PAGE).status_code == 403
    assert client.post(PAGE, FORM).status_code == 403
    connection.refresh_from_db()
    assert connection.idle_action == InactivityAction.NOTHING


def test_page_requires_recent_reauthentication(
    client: Client, connection: Connection, administrator: Membership, sign_in: SignIn
) -> None:
    sign_in(client, administrator)
    assert client.get(PAGE)["Location"].startswith("/sign-in/again/")


def test_account_without_a_provider_has_no_such_page(
    client: Client, administrator: Membership, sign_in_now: SignIn
) -> None:
    sign_in_now(client, administrator)
    assert client.get(PAGE).status_code == 404


def test_page_shows_last_login_and_what_will_happen(
    browser: Client, connection: Connection, member: Membership, now: datetime
) -> None:
    assert "Will be suspended" not in text(browser.get(PAGE))
    decide(connection, InactivityAction.SUSPEND, now)
    assert "Will be suspended:" in text(browser.get(PAGE))
    decide(connection, InactivityAction.SUSPEND, now - timedelta(days=90))
    said = text(browser.get(PAGE))
    assert member.user.name in said
    assert "Will be suspended within the hour" in said


def test_it_says_which_tokens_are_suspended(
    browser: Client, connection: Connection, member: Membership, now: datetime
) -> None:
    decide(connection, InactivityAction.SUSPEND, now - timedelta(days=90))
    by = Actor.operator(through=EntryPoint.SYSTEM)
    suspension.suspend_tokens(membership=member, by=by, at=now)
    assert "Suspended Rejected since" in text(browser.get(PAGE))


def test_it_leads_to_deleting_all_tokens_of_a_person(browser: Client, member: Membership) -> None:
    path = f"/accounts/{ACCOUNT_ID}/api-tokens/of/{member.user_id}/delete/"
    assert path in browser.get(PAGE).content.decode()


def test_page_warns_while_single_sign_on_is_off(browser: Client, connection: Connection) -> None:
    assert "no one can sign in through the provider" not in text(browser.get(PAGE))
    connection.is_on = False
    connection.save()
    assert "no one can sign in through the provider" in text(browser.get(PAGE))


def test_members_without_sso_tokens_or_account_are_not_listed(
    connection: Connection,
    member: Membership,
    engineer: Membership,
    stranger: Membership,
    issue: Issue,
    now: datetime,
) -> None:
    issue(engineer)
    issue(stranger)
    Membership.objects.filter(pk=stranger.pk).update(sso_at=now)
    MembershipFactory.create(account=member.account, sso_at=now)
    rows = listing.listing(connection, at=now)["rows"]
    assert [row.member for row in rows] == [member]


def test_longest_inactive_are_first(
    connection: Connection, member: Membership, engineer: Membership, issue: Issue, now: datetime
) -> None:
    issue(engineer)
    Membership.objects.filter(pk=engineer.pk).update(sso_at=now - timedelta(days=90))
    rows = listing.listing(connection, at=now)["rows"]
    assert [row.member for row in rows] == [engineer, member]


@pytest.mark.parametrize("people", [1, 5])
def test_list_costs_the_same_for_any_number_of_people(
    connection: Connection,
    issue: Issue,
    now: datetime,
    people: int,
    django_assert_num_queries: Any,
) -> None:
    for _number in range(people):
        issue(MembershipFactory.create(account=connection.account, sso_at=now))
    with django_assert_num_queries(4):
        context = listing.listing(connection, at=now)
        assert len([str(row.member.user) for row in context["rows"]]) == people
