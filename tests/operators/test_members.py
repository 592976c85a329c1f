"""The admin of memberships and invitations: every change calls a service, and is recorded."""

from typing import Any

import pytest
from django.test import Client
from pytest_django import DjangoAssertNumQueries

from accounts.authorization.actor import Actor
from accounts.invitations import services as invitations
from accounts.models import Account, Invitation, Membership, User
from accounts.roles import Role
from apitokens.models import APIToken
from tests.conftest import Issue
from tests.factories import MembershipFactory, UserFactory
from tests.operators.conftest import Events, changes, page, selected, shown

MEMBERS, MEMBER = "accounts_membership_changelist", "accounts_membership_change"
INVITATIONS = "accounts_invitation_changelist"


def send(browser: Client, name: str, *args: Any, **fields: Any) -> str:
    """Send a form; the text of the page that follows."""
    answer = browser.post(page(name, *args), fields, follow=True)
    assert answer.status_code == 200, answer.status_code
    return str(answer.content.decode())


# Memberships


def test_user_becomes_a_member_on_the_record(
    browser: Client, account: Account, operator: User, events: Events
) -> None:
    newcomer = UserFactory.create()
    form = {"account": account.pk, "user": newcomer.pk, "role": Role.ENGINEERS.value}

    send(browser, "accounts_membership_add", **form)

    member = Membership.objects.get(account=account, user=newcomer)
    assert member.held_role is Role.ENGINEERS
    (event,) = events("member.added", account=account)
    assert (event.user, event.through, event.subject_id) == (operator, "admin", member.pk)


def test_removed_member_is_brought_back(
    browser: Client, administrator: Membership, user: Membership, now: Any
) -> None:
    Membership.objects.filter(pk=user.pk).update(removed_at=now)
    form = {"account": user.account_id, "user": user.user_id, "role": Role.ENGINEERS.value}

    send(browser, "accounts_membership_add", **form)

    user.refresh_from_db()
    assert (user.is_removed, user.held_role) == (False, Role.ENGINEERS)


def test_present_member_is_not_added_twice(browser: Client, user: Membership) -> None:
    form = {"account": user.account_id, "user": user.user_id, "role": Role.ADMINISTRATORS.value}

    text = send(browser, "accounts_membership_add", **form)

    assert "The user is already a member." in text
    user.refresh_from_db()
    assert user.held_role is Role.USERS


@pytest.mark.parametrize("field", ["account", "user", "role"])
@pytest.mark.parametrize("value", ["", "0", "-1", "x", "9" * 25, "\0"])
def test_membership_that_makes_no_sense_is_not_made(
    browser: Client, account: Account, field: str, value: str
) -> None:
    form = {"account": account.pk, "user": UserFactory.create().pk, "role": Role.USERS.value}

    answer = browser.post(page("accounts_membership_add"), {**form, field: value})

    assert answer.status_code == 400
    assert field in answer.context["adminform"].form.errors
    assert not Membership.objects.exists()


def test_role_is_changed_on_the_record(
    browser: Client, user: Membership, operator: User, events: Events
) -> None:
    send(browser, MEMBER, user.pk, role=Role.ENGINEERS.value)

    user.refresh_from_db()
    assert user.held_role is Role.ENGINEERS
    (event,) = events("member.role_changed")
    assert (event.user, event.through) == (operator, "admin")
    assert (event.details["before"], event.details["after"]) == ("Users", "Engineers")


def test_role_below_that_of_an_active_token_is_refused_in_words(
    browser: Client, engineer: Membership, issue: Issue
) -> None:
    issue(engineer, role=Role.ENGINEERS)

    text = send(browser, MEMBER, engineer.pk, role=Role.USERS.value)

    assert "The specified user has issued a token with a higher role." in text
    assert "was changed successfully" not in text
    engineer.refresh_from_db()
    assert engineer.held_role is Role.ENGINEERS


def test_last_administrator_is_neither_demoted_nor_removed(
    browser: Client, administrator: Membership
) -> None:
    for form in ({"role": Role.USERS.value}, {"role": Role.ADMINISTRATORS.value, "remove": "on"}):
        assert "last Administrator" in send(browser, MEMBER, administrator.pk, **form)

    administrator.refresh_from_db()
    assert (administrator.held_role, administrator.is_removed) == (Role.ADMINISTRATORS, False)


def test_member_is_removed_on_the_record(browser: Client, user: Membership, events: Events) -> None:
    send(browser, MEMBER, user.pk, role=user.role, remove="on")

    user.refresh_from_db()
    assert user.is_removed
    assert len(events("member.removed", subject_id=user.pk)) == 1


def test_member_with_active_tokens_is_removed_only_with_them(
    browser: Client, user: Membership, issue: Issue
) -> None:
    token, _key = issue(user)

    refused = send(browser, MEMBER, user.pk, role=user.role, remove="on")
    assert "have active tokens" in refused
    assert Membership.objects.filter(pk=user.pk, removed_at=None).exists()

    send(browser, MEMBER, user.pk, role=user.role, remove="on", delete_tokens="on")
    assert not Membership.objects.filter(pk=user.pk, removed_at=None).exists()
    assert APIToken.objects.get(pk=token.pk).is_deleted


def test_removed_member_is_looked_at_only(browser: Client, user: Membership, now: Any) -> None:
    Membership.objects.filter(pk=user.pk).update(removed_at=now)

    assert browser.post(page(MEMBER, user.pk), {"role": 1}).status_code == 403
    user.refresh_from_db()
    assert user.held_role is Role.USERS


def test_account_and_user_of_a_membership_stay(
    browser: Client, user: Membership, stranger: Membership
) -> None:
    send(
        browser, MEMBER, user.pk, role=user.role, account=stranger.account_id, user=stranger.user_id
    )

    before = (user.account_id, user.user_id)
    user.refresh_from_db()
    assert (user.account_id, user.user_id) == before
    assert not changes()


def test_membership_is_not_deleted(browser: Client, user: Membership) -> None:
    address = page("accounts_membership_delete", user.pk)

    assert browser.post(address, {"post": "yes"}).status_code == 403
    assert Membership.objects.filter(pk=user.pk).exists()


@pytest.mark.parametrize("members", [1, 30])
def test_memberships_cost_the_same_for_any_number(
    browser: Client, members: int, django_assert_num_queries: DjangoAssertNumQueries
) -> None:
    MembershipFactory.create_batch(members)

    # session, operator, the choice of accounts, count, rows
    with django_assert_num_queries(5):
        shown(browser, page(MEMBERS))


# Invitations


@pytest.fixture
def invitation(administrator: Membership, now: Any) -> Invitation:
    return invitations.invite(
        account=administrator.account,
        email="nora@example.com",
        role=Role.USERS,
        by=Actor.member(administrator),
        at=now,
    )


def do(browser: Client, action: str, *invited: Invitation) -> str:
    """Choose an action for these rows of the list."""
    return send(browser, INVITATIONS, action=action, **selected(browser, INVITATIONS, *invited))


def test_operator_invites_on_the_record(
    browser: Client, account: Account, operator: User, events: Events
) -> None:
    form = {"account": account.pk, "email": "Nora@Example.com", "language": "en", "role": 1}

    send(browser, "accounts_invitation_add", **form)

    made = Invitation.objects.get()
    assert (made.email, made.invited_by, made.given_role) == (
        "nora@example.com",
        None,
        Role.ADMINISTRATORS,
    )
    (event,) = events("invitation.sent", account=account)
    assert (event.user, event.through) == (operator, "admin")


def test_member_is_not_invited(browser: Client, user: Membership) -> None:
    form = {"account": user.account_id, "email": user.user.email, "language": "en", "role": 2}

    text = send(browser, "accounts_invitation_add", **form)

    assert "was added successfully" not in text
    assert not Invitation.objects.exists()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        *(("email", text) for text in ("", "no address", "nul\0@example.com", "a" * 300)),
        ("email", "nora@ex\u0430mple.com"),
        *(("role", text) for text in ("", "4", "x")),
        *(("account", text) for text in ("", "0", "x", "9" * 25)),
        ("name", "two\nlines"),
        ("language", "xx"),
    ],
)
def test_invitation_that_makes_no_sense_is_not_sent(
    browser: Client, account: Account, field: str, value: str
) -> None:
    form = {"account": account.pk, "email": "nora@example.com", "language": "en", "role": 2}

    answer = browser.post(page("accounts_invitation_add"), {**form, field: value})

    assert answer.status_code == 400
    assert field in answer.context["adminform"].form.errors
    assert not Invitation.objects.exists()


def test_invitation_is_sent_again_with_another_link(
    browser: Client, invitation: Invitation, events: Events
) -> None:
    nonce = invitation.nonce

    assert "Done. (nora@example.com)" in do(browser, "send_again", invitation)

    invitation.refresh_from_db()
    assert invitation.nonce != nonce
    assert len(events("invitation.sent_again")) == 1


def test_invitation_is_withdrawn_once(
    browser: Client, invitation: Invitation, events: Events
) -> None:
    assert "Done." in do(browser, "withdraw", invitation)
    assert "no longer open" in do(browser, "withdraw", invitation)

    invitation.refresh_from_db()
    assert invitation.withdrawn_at is not None
    assert len(events("invitation.withdrawn")) == 1


def test_refusal_of_one_invitation_is_told_and_the_others_go_on(
    browser: Client, invitation: Invitation, administrator: Membership, now: Any
) -> None:
    by = Actor.member(administrator)
    other = invitations.invite(
        account=administrator.account, email="omar@example.com", role=Role.USERS, by=by, at=now
    )
    invitations.withdraw(invitation=other, by=by, at=now)

    text = do(browser, "send_again", invitation, other)

    assert "Done. (nora@example.com)" in text
    assert "Done. (omar@example.com)" not in text
    assert "(omar@example.com)" in text


def test_invitation_is_neither_changed_nor_deleted(browser: Client, invitation: Invitation) -> None:
    for name in ("accounts_invitation_change", "accounts_invitation_delete"):
        answer = browser.post(page(name, invitation.pk), {"post": "yes", "role": 1})
        assert answer.status_code == 403
    invitation.refresh_from_db()
    assert invitation.given_role is Role.USERS


def test_link_of_an_invitation_is_not_shown(browser: Client, invitation: Invitation) -> None:
    text = shown(browser, page("accounts_invitation_change", invitation.pk))

    assert "nora@example.com" in text
    assert invitation.nonce not in text


def test_filter_tells_open_from_withdrawn(browser: Client, invitation: Invitation) -> None:
    assert "nora@example.com" in shown(browser, page(INVITATIONS), state="open")
    assert "nora@example.com" not in shown(browser, page(INVITATIONS), state="withdrawn")
    assert "nora@example.com" not in shown(browser, page(INVITATIONS), state="accepted")


@pytest.mark.parametrize("number", [1, 4])
def test_invitations_cost_the_same_for_any_number(
    browser: Client,
    administrator: Membership,
    number: int,
    now: Any,
    django_assert_num_queries: DjangoAssertNumQueries,
) -> None:
    for each in range(number):
        invitations.invite(
            account=administrator.account,
            email=f"person{each}@invited.example",
            role=Role.USERS,
            by=Actor.member(administrator),
            at=now,
        )

    # session, operator, the choice of accounts, count, rows
    with django_assert_num_queries(5):
        shown(browser, page(INVITATIONS))
