"""`sso_required_expression`: the ways of signing in that the API and All users show."""

from datetime import datetime
from typing import Any

import pytest
from django.test import Client

from accounts.authorization import sso_hooks
from accounts.models import Account, Membership, User
from sso.enforcement.services import is_forced
from sso.models import Connection
from tests.conftest import Api, Issue, SignIn
from tests.factories import (
    ACCOUNT_ID,
    ConnectionFactory,
    DomainFactory,
    MembershipFactory,
    SubjectFactory,
    UserFactory,
)

pytestmark = [pytest.mark.django_db, pytest.mark.both]

PEOPLE = f"/accounts/{ACCOUNT_ID}/users/"


@pytest.fixture
def connection(account: Account) -> Connection:
    """A connection that forces SSO for members of example.com."""
    found = ConnectionFactory.create(account=account, is_forced=True)
    DomainFactory.create(connection=found, name="example.com")
    return found


def member(account: Account, email: str, **facts: Any) -> Membership:
    return MembershipFactory.create(account=account, user__email=email, **facts)


def is_required(member: Membership) -> bool:
    found = Membership.objects.filter(pk=member.pk).annotate(
        is_required=sso_hooks.sso_required_expression()
    )
    return bool(found.values_list("is_required", flat=True).get())


@pytest.mark.parametrize(
    ("email", "forced"),
    [
        ("ada@example.com", True),
        ("ada@sub.example.com", False),
        ("ada@notexample.com", False),
        ("example.com@example.org", False),
    ],
)
def test_similar_domains_are_distinguished(
    connection: Connection, email: str, forced: bool
) -> None:
    ada = member(connection.account, email)
    assert is_required(ada) is is_forced(ada.user) is forced


def test_linked_member_is_forced_whatever_their_address(
    connection: Connection, now: datetime
) -> None:
    ada = member(connection.account, "ada@example.org")
    SubjectFactory.create(connection=connection, membership=ada)
    assert is_required(ada)
    assert is_forced(ada.user)


@pytest.mark.parametrize("lack", ["off", "not forced", "not approved", "operator"])
def test_without_one_condition_nobody_is_forced(
    connection: Connection, lack: str, now: datetime
) -> None:
    ada = member(connection.account, "ada@example.com")
    if lack == "off":
        Connection.objects.update(is_on=False, is_forced=False)
    elif lack == "not forced":
        Connection.objects.update(is_forced=False)
    elif lack == "not approved":
        connection.domains.update(approved_at=None, approved_by=None)
    else:
        User.objects.filter(pk=ada.user_id).update(is_staff=True)
        ada.user.refresh_from_db()
    assert not is_required(ada)
    assert not is_forced(ada.user)


def test_other_accounts_do_not_matter(connection: Connection, stranger: Membership) -> None:
    user = UserFactory.create(email="ada@example.com")
    here = MembershipFactory.create(account=connection.account, user=user)
    there = MembershipFactory.create(account=stranger.account, user=user)
    assert (is_required(here), is_required(there)) == (True, False)


def test_api_lists_sso_as_the_only_way_of_forced_members(
    connection: Connection, administrator: Membership, issue: Issue, api: Api, now: datetime
) -> None:
    client = api(issue(administrator, role=1).key)
    free = member(connection.account, "free@example.org", sso_at=now)
    forced = member(connection.account, "forced@example.com")
    found = {each["id"]: each for each in client.get("/iam/users").json()}
    assert found[forced.user_id]["auth_types"] == ["sso"]
    assert found[forced.user_id]["sso_auth"] is True
    assert found[free.user_id]["auth_types"] == ["password", "sso"]


def test_all_users_shows_the_same(
    client: Client, connection: Connection, administrator: Membership, sign_in: SignIn
) -> None:
    Connection.objects.update(is_forced=False)
    sign_in(client, administrator)
    Connection.objects.update(is_forced=True)
    forced = member(connection.account, "forced@example.com")
    rows = {row.member.pk: row for row in client.get(PEOPLE).context["rows"]}
    assert rows[forced.pk].signs_in_by == ["Single sign-on"]


@pytest.mark.parametrize(("way", "is_found"), [("sso", True), ("other", False)])
def test_filter_of_all_users_finds_forced_members(
    client: Client,
    connection: Connection,
    administrator: Membership,
    sign_in: SignIn,
    way: str,
    is_found: bool,
) -> None:
    """Also those who have never signed in by SSO yet."""
    Connection.objects.update(is_forced=False)
    sign_in(client, administrator)
    Connection.objects.update(is_forced=True)
    forced = member(connection.account, "forced@example.com")
    rows = client.get(PEOPLE, {"signs_in_by": way}).context["rows"]
    assert (forced.pk in [row.member.pk for row in rows]) is is_found
