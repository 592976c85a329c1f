"""How people sign in, as the API and All users tell it of those whom their account forces."""

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
    ConnectionFactory,
    DomainFactory,
    MembershipFactory,
    SubjectFactory,
    UserFactory,
)

pytestmark = [pytest.mark.django_db, pytest.mark.both]

PEOPLE = "/profile/users/"


@pytest.fixture
def connection(account: Account) -> Connection:
    """A provider that members of example.com have to come through."""
    found = ConnectionFactory.create(account=account, is_forced=True)
    DomainFactory.create(connection=found, name="example.com")
    return found


def member(account: Account, email: str, **facts: Any) -> Membership:
    return MembershipFactory.create(account=account, user__email=email, **facts)


def told(member: Membership) -> bool:
    found = Membership.objects.filter(pk=member.pk).annotate(
        told=sso_hooks.sso_required_expression()
    )
    return bool(found.values_list("told", flat=True).get())


@pytest.mark.parametrize(
    ("email", "forced"),
    [
        ("ada@example.com", True),
        ("ada@sub.example.com", False),
        ("ada@notexample.com", False),
        ("example.com@example.org", False),
    ],
)
def test_domains_are_told_from_those_that_look_alike(
    connection: Connection, email: str, forced: bool
) -> None:
    ada = member(connection.account, email)
    assert told(ada) is is_forced(ada.user) is forced


def test_who_is_linked_is_forced_whatever_their_address(
    connection: Connection, now: datetime
) -> None:
    ada = member(connection.account, "ada@example.org")
    SubjectFactory.create(connection=connection, membership=ada)
    assert told(ada)
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
    assert not told(ada)
    assert not is_forced(ada.user)


def test_other_accounts_tell_nothing_of_it(connection: Connection, stranger: Membership) -> None:
    user = UserFactory.create(email="ada@example.com")
    here = MembershipFactory.create(account=connection.account, user=user)
    there = MembershipFactory.create(account=stranger.account, user=user)
    assert (told(here), told(there)) == (True, False)


def test_api_tells_one_way_of_whom_it_is_the_only_one(
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
def test_filter_of_all_users_finds_who_has_to_come_through_the_provider(
    client: Client,
    connection: Connection,
    administrator: Membership,
    sign_in: SignIn,
    way: str,
    is_found: bool,
) -> None:
    """Also who never has yet."""
    Connection.objects.update(is_forced=False)
    sign_in(client, administrator)
    Connection.objects.update(is_forced=True)
    forced = member(connection.account, "forced@example.com")
    rows = client.get(PEOPLE, {"signs_in_by": way}).context["rows"]
    assert (forced.pk in [row.member.pk for row in rows]) is is_found
