"""A person who belongs to no account opens one of their own."""

from datetime import datetime
from typing import Any

import pytest
from allauth.account.models import EmailAddress
from django.core.exceptions import PermissionDenied
from django.test import Client
from pytest_django import Settings

from accounts.account import services as account_services
from accounts.authorization.actor import Actor, EntryPoint
from accounts.members import services as members
from accounts.models import Account, AuditEvent, Membership, User
from accounts.roles import Role
from accounts.sign_in import registration
from accounts.tenancy.decorators import SESSION_KEY
from tests.conftest import Issue
from tests.factories import MembershipFactory, UserFactory

pytestmark = pytest.mark.django_db

URL = "/accounts/new/"
LIST = "/profile/api-tokens/"
"""The list of the account used last."""
OPERATOR = Actor.operator(through=EntryPoint.COMMAND)


@pytest.fixture
def ann() -> User:
    """A person with a confirmed address, and no account."""
    return UserFactory.create(email="ann@example.com")


@pytest.fixture
def browser(client: Client, ann: User) -> Client:
    client.force_login(ann)
    return client


def open_account(browser: Client, name: str = "Globex") -> Any:
    return browser.post(URL, {"account_name": name})


def text(answer: Any) -> str:
    return str(answer.content.decode())


def test_person_without_an_account_opens_one_and_works_in_it(browser: Client, ann: User) -> None:
    answer = open_account(browser)
    member = Membership.objects.get(user=ann)
    page = f"/accounts/{member.account_id}/api-tokens/"
    assert (answer.status_code, answer["Location"]) == (302, page)
    assert (member.account.name, member.held_role) == ("Globex", Role.ADMINISTRATORS)
    assert browser.session[SESSION_KEY] == member.account_id
    assert browser.get(page).status_code == 200


def test_every_page_that_needs_an_account_offers_it(browser: Client) -> None:
    answer = browser.get(LIST)
    assert answer.status_code == 403
    assert f'action="{URL}"' in text(answer)


def test_person_who_left_opens_one(client: Client, ann: User, now: datetime) -> None:
    MembershipFactory.create(account=(member := MembershipFactory.create(user=ann)).account)
    members.leave_account(membership=member, by=Actor.member(member), at=now)
    client.force_login(ann)
    open_account(client)
    assert list(Membership.objects.of(ann).values_list("account__name", flat=True)) == ["Globex"]


def test_opening_leaves_events(browser: Client, ann: User) -> None:
    open_account(browser)
    events = AuditEvent.objects.filter(account__name="Globex", user=ann).order_by("pk")
    assert [event.kind for event in events] == ["account.opened", "member.added"]


@pytest.mark.parametrize("name", ["", "   ", "x" * 151, "Glo\nbex", "Globex\0", "\u202eGlobex"])
def test_bad_name_is_told_and_opens_nothing(browser: Client, ann: User, name: str) -> None:
    answer = open_account(browser, name)
    assert answer.status_code == 400
    assert 'id="id_account_name_error"' in text(answer)
    assert not Account.objects.exists()


def test_form_sent_twice_opens_one_account(browser: Client, ann: User) -> None:
    open_account(browser)
    opened = Account.objects.get()
    assert open_account(browser, "Another")["Location"] == f"/accounts/{opened.pk}/"
    assert Account.objects.count() == 1


def test_member_opens_no_second_account(user: Membership, now: datetime) -> None:
    with pytest.raises(PermissionDenied, match="You already belong to an account"):
        registration.open_own_account(
            user=user.user, account_name="Second", by=Actor.person(user.user), at=now
        )


def test_closing_an_account_is_not_got_around_by_opening_another(
    client: Client, user: Membership, now: datetime
) -> None:
    account_services.close_account(account=user.account, by=OPERATOR, at=now)
    client.force_login(user.user)
    page = text(client.get(LIST))
    assert f"{user.account.name} is closed. Ask an operator" in page
    assert f'action="{URL}"' not in page
    assert open_account(client).status_code == 403
    assert Account.objects.count() == 1


def test_where_sign_up_is_closed_the_person_is_told_whom_to_ask(
    browser: Client, settings: Settings
) -> None:
    settings.SIGN_UP = "closed"
    page = text(browser.get(LIST))
    assert "Ask an Administrator to invite" in page
    assert "invitation-only" in page
    assert f'action="{URL}"' not in page


def test_where_sign_up_is_closed_nobody_opens_an_account(
    browser: Client, settings: Settings
) -> None:
    settings.SIGN_UP = "closed"
    answer = open_account(browser)
    assert answer.status_code == 403
    assert "Ask an Administrator to invite" in text(answer)
    assert not Account.objects.exists()


def test_address_is_confirmed_first(ann: User, now: datetime) -> None:
    EmailAddress.objects.filter(user=ann).update(verified=False)
    with pytest.raises(PermissionDenied, match="Confirm your email address first"):
        registration.open_own_account(user=ann, account_name="Globex", by=Actor.person(ann), at=now)


def test_nobody_opens_one_for_another_user(ann: User, now: datetime) -> None:
    with pytest.raises(PermissionDenied):
        registration.open_own_account(
            user=ann, account_name="Globex", by=Actor.person(UserFactory.create()), at=now
        )


def test_token_opens_none(user: Membership, issue: Issue, now: datetime) -> None:
    token = issue(user).token
    by = Actor.token(user, token_id=token.pk, role=Role.USERS, ends_at=None)
    Membership.objects.filter(pk=user.pk).update(removed_at=now)
    with pytest.raises(PermissionDenied):
        registration.open_own_account(user=user.user, account_name="Globex", by=by, at=now)


def test_stranger_is_asked_to_sign_in(client: Client, db: None) -> None:
    assert open_account(client)["Location"] == f"/sign-in/?next={URL}"
