"""API tokens and single sign-on: the warning, who signs in how, and what is suspended and why."""

import re
from datetime import datetime, timedelta
from html import unescape
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse
from django.utils.html import strip_tags

from accounts.authorization.actor import Actor, EntryPoint
from accounts.members import suspension
from accounts.models import Membership
from accounts.roles import Role
from apitokens.models import APIToken, Status
from sso.models import Connection, InactivityAction
from tests.conftest import Issue, SignIn
from tests.factories import ACCOUNT_ID, CertificateFactory, ConnectionFactory, MembershipFactory

pytestmark = pytest.mark.django_db

LIST = f"/accounts/{ACCOUNT_ID}/api-tokens/"
CREATE = f"{LIST}create/"
SYSTEM = Actor.operator(through=EntryPoint.SYSTEM)
WARNING = (
    "when their provider revokes their access, we aren't notified, and their tokens stay active."
)


@pytest.fixture
def browser(client: Client, administrator: Membership, sign_in: SignIn) -> Client:
    """The browser of an Administrator."""
    sign_in(client, administrator)
    return client


@pytest.fixture
def comer(user: Membership, now: datetime) -> Membership:
    """A member who has come through the provider."""
    user.sso_at = now - timedelta(days=40)
    user.save()
    return user


@pytest.fixture
def connection(administrator: Membership) -> Connection:
    return ConnectionFactory.create(account=administrator.account, name="Okta")


def text(answer: Any) -> str:
    return re.sub(r"\s+", " ", unescape(strip_tags(answer.content.decode())))


def shown(browser: Client, **query: Any) -> list[str]:
    return [row.token.name for row in browser.get(LIST, query).context["rows"]]


def suspend(member: Membership, at: datetime) -> None:
    assert suspension.suspend_tokens(membership=member, by=SYSTEM, at=at)


# --- The warning -------------------------------------------------------------------------------


def test_everybody_reads_on_the_tokens_page_that_providers_tell_nothing(
    client: Client, connection: Connection, engineer: Membership, sign_in: SignIn
) -> None:
    sign_in(client, engineer)
    said = text(client.get(LIST))
    assert WARNING in said
    assert "To end that access, an Administrator deletes their tokens." in said


def test_where_there_is_neither_a_provider_nor_an_issuer_by_sso_nothing_is_said_of_it(
    client: Client, administrator: Membership, comer: Membership, issue: Issue, sign_in: SignIn
) -> None:
    issue(administrator)
    sign_in(client, administrator)
    assert WARNING not in text(client.get(LIST))
    issue(comer)
    said = text(client.get(LIST))
    assert WARNING in said
    assert "To end that access, delete their tokens here." in said


def test_who_signs_in_through_a_provider_reads_that_it_is_about_them(
    client: Client,
    connection: Connection,
    comer: Membership,
    engineer: Membership,
    sign_in: SignIn,
) -> None:
    sign_in(client, comer)
    said = text(client.get(LIST))
    assert "You are one of these people." in said
    assert "an Administrator deletes their tokens." in said
    assert "delete their tokens here" not in said
    sign_in(client, engineer)
    assert "You are one of these people." not in text(client.get(LIST))


def test_warning_stands_at_creation_for_who_signs_in_through_a_provider(
    client: Client, connection: Connection, comer: Membership, sign_in: SignIn
) -> None:
    sign_in(client, comer)
    said = text(client.get(CREATE))
    assert "You sign in through Okta." in said
    assert "we aren't notified, and this token stays active until it expires or someone" in said


def test_warning_at_creation_does_not_need_a_provider_that_is_still_there(
    client: Client, comer: Membership, sign_in: SignIn
) -> None:
    sign_in(client, comer)
    assert "You sign in through SSO." in text(client.get(CREATE))


def test_others_create_tokens_without_it(
    client: Client, connection: Connection, engineer: Membership, sign_in: SignIn
) -> None:
    sign_in(client, engineer)
    assert "Okta" not in text(client.get(CREATE))


@pytest.mark.parametrize("address", [LIST, CREATE])
def test_rule_of_the_account_stands_beside_the_warning(
    client: Client,
    connection: Connection,
    comer: Membership,
    sign_in: SignIn,
    now: datetime,
    address: str,
) -> None:
    sign_in(client, comer)
    rule = "suspends the tokens of anyone who hasn't signed in through Okta for 14 days."
    assert rule not in text(client.get(address))
    connection.idle_action, connection.idle_days = InactivityAction.SUSPEND, 14
    connection.idle_action_since = now
    connection.save()
    assert rule in text(client.get(address))


# --- Who signs in how --------------------------------------------------------------------------


def test_issuers_who_come_through_the_provider_are_marked(
    browser: Client, comer: Membership, engineer: Membership, issue: Issue
) -> None:
    issue(comer)
    issue(engineer)
    assert browser.get(LIST).content.decode().count(">SSO</span>") == 1


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ({"signs_in_by": "sso"}, ["Of the comer"]),
        ({"signs_in_by": "other"}, ["Of the engineer"]),
        ({}, ["Of the comer", "Of the engineer"]),
    ],
)
def test_tokens_are_found_by_how_their_issuer_signs_in(
    browser: Client,
    comer: Membership,
    engineer: Membership,
    issue: Issue,
    query: dict[str, str],
    names: list[str],
) -> None:
    issue(comer, name="Of the comer")
    issue(engineer, name="Of the engineer")
    assert sorted(shown(browser, **query)) == names


def test_unknown_way_of_signing_in_is_refused(browser: Client) -> None:
    assert browser.get(LIST, {"signs_in_by": "magic"}).status_code == 400


def test_only_administrators_are_offered_the_filter(
    client: Client, administrator: Membership, comer: Membership, issue: Issue, sign_in: SignIn
) -> None:
    issue(comer)
    sign_in(client, administrator)
    assert "Issuer's sign-in method" in text(client.get(LIST))
    sign_in(client, comer)
    assert "Issuer's sign-in method" not in text(client.get(LIST))


def test_filter_shows_others_nothing_of_anybody_else(
    client: Client, comer: Membership, engineer: Membership, issue: Issue, sign_in: SignIn
) -> None:
    issue(comer)
    sign_in(client, engineer)
    assert shown(client, signs_in_by="sso") == []


# --- What is suspended -------------------------------------------------------------------------


def test_suspended_token_says_since_when_and_is_not_called_active(
    browser: Client, comer: Membership, issue: Issue, now: datetime
) -> None:
    issue(comer)
    suspend(comer, now)
    answer = browser.get(LIST, {"status": "suspended"})
    (row,) = answer.context["rows"]
    assert row.status is Status.SUSPENDED
    assert "Suspended since" in text(answer)
    assert "badge--active" not in answer.content.decode()


@pytest.mark.both
def test_suspended_is_a_status_of_its_own(
    browser: Client, comer: Membership, engineer: Membership, issue: Issue, now: datetime
) -> None:
    issue(comer, name="Suspended one")
    issue(engineer, name="Working one")
    suspend(comer, now)
    assert shown(browser, status="suspended") == ["Suspended one"]
    assert shown(browser, status="active") == shown(browser) == ["Working one"]
    assert sorted(shown(browser, status="all")) == ["Suspended one", "Working one"]


def test_list_of_active_tokens_says_how_many_are_suspended(
    browser: Client, comer: Membership, engineer: Membership, issue: Issue, now: datetime
) -> None:
    issue(engineer)
    assert "suspended" not in text(browser.get(LIST))
    issue(comer)
    suspend(comer, now)
    assert "1 token · 1 suspended" in text(browser.get(LIST))


def test_suspended_token_counts_against_the_limit(
    browser: Client, comer: Membership, issue: Issue, now: datetime
) -> None:
    issue(comer)
    suspend(comer, now)
    assert "1 of 50 in use" in text(browser.get(LIST))


def test_expired_and_deleted_tokens_are_not_called_suspended(
    browser: Client, comer: Membership, issue: Issue, now: datetime
) -> None:
    deleted = issue(comer).token
    expired = issue(comer, at=now - timedelta(days=2)).token
    APIToken.objects.filter(pk=deleted.pk).update(deleted_at=now)
    APIToken.objects.filter(pk=expired.pk).update(expires_at=now - timedelta(days=1))
    suspend(comer, now)
    rows = browser.get(LIST, {"status": "all"}).context["rows"]
    assert [row.is_suspended for row in rows] == [False, False]
    assert shown(browser, status="suspended") == []


def test_page_of_a_suspended_token_says_who_has_to_do_what(
    browser: Client, comer: Membership, issue: Issue, now: datetime
) -> None:
    token = issue(comer).token
    suspend(comer, now)
    said = text(browser.get(f"{LIST}{token.pk}/"))
    assert "This token is suspended" in said
    assert f"because {comer.user.name} hasn't signed in through the account's identity" in said


def test_who_is_concerned_is_told_why_and_offered_the_way(
    client: Client,
    connection: Connection,
    comer: Membership,
    issue: Issue,
    sign_in: SignIn,
    now: datetime,
) -> None:
    token = issue(comer).token
    suspend(comer, now)
    sign_in(client, comer)
    for address in (LIST, CREATE, f"{LIST}{token.pk}/"):
        said = text(client.get(address))
        assert "Your API tokens are suspended" in said, address
        assert "Sign in through Okta" in said, address


def test_way_leads_to_the_provider_also_who_has_signed_in_by_password(
    client: Client, connection: Connection, comer: Membership, sign_in: SignIn, now: datetime
) -> None:
    CertificateFactory.create(connection=connection)
    sign_in(client, comer)
    way = reverse("sso:begin", args=[connection.slug])
    assert client.get(way)["Location"] == "/"
    suspend(comer, now)
    assert client.get(way)["Location"].startswith(connection.sso_url)


def test_form_is_not_offered_while_a_new_token_would_be_suspended(
    client: Client, comer: Membership, sign_in: SignIn, now: datetime
) -> None:
    suspend(comer, now)
    sign_in(client, comer)
    assert 'name="form_key"' not in client.get(CREATE).content.decode()
    assert not APIToken.objects.exists()


def test_others_are_told_of_no_suspension_of_theirs(
    browser: Client, comer: Membership, issue: Issue, now: datetime
) -> None:
    issue(comer)
    suspend(comer, now)
    assert "Your API tokens are suspended" not in text(browser.get(LIST))


@pytest.mark.parametrize("people", [1, 6])
def test_page_costs_the_same_for_any_number_of_people(
    browser: Client,
    connection: Connection,
    administrator: Membership,
    issue: Issue,
    now: datetime,
    people: int,
    django_assert_num_queries: Any,
) -> None:
    for _number in range(people):
        member = MembershipFactory.create(
            account=administrator.account, role=Role.USERS, sso_at=now - timedelta(days=9)
        )
        issue(member)
        suspend(member, now)
    with django_assert_num_queries(11):
        browser.get(LIST, {"signs_in_by": "sso"})


def test_links_to_a_persons_tokens_show_suspended_ones_too(
    browser: Client, connection: Connection, comer: Membership, issue: Issue, now: datetime
) -> None:
    token = issue(comer, name="Suspended one").token
    suspend(comer, now)
    pages = (LIST, reverse("sso:absence", args=[ACCOUNT_ID]), f"/accounts/{ACCOUNT_ID}/users/")
    for page in pages:
        content = unescape(browser.get(page).content.decode())
        links = re.findall(rf'href="({LIST}\?(?:issued_by|signs_in_by)=[^"]+)"', content)
        assert links, page
        for link in links:
            rows = browser.get(link).context["rows"]
            assert [row.token.pk for row in rows] == [token.pk], (page, link)
