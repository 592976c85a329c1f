"""Pages of tokens of service accounts: creating, the badge, handing over, who has access."""

import re
from collections.abc import Callable
from datetime import datetime, timedelta
from html import unescape
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils.html import strip_tags

from accounts.authorization.actor import Actor, EntryPoint
from accounts.invitations import services as invitations
from accounts.members import services as members
from accounts.models import Account, Membership, ServiceAccount, User
from accounts.roles import Role
from accounts.users import services as users
from apitokens.models import APIToken
from apitokens.tokens import rotation
from apitokens.tokens import services as token_services
from apitokens.tokens.handover import hand_over
from tests.conftest import SignIn
from tests.factories import ACCOUNT_ID, MembershipFactory, issue, service_account
from tests.questions import hidden_fields, suggested

pytestmark = pytest.mark.django_db

TOKENS = f"/accounts/{ACCOUNT_ID}/api-tokens/"
CREATE = f"{TOKENS}create/"
HAND_OVER = f"{TOKENS}selection/hand-over/"
ACCESS = f"{TOKENS}access/"

OPERATOR = Actor.operator(through=EntryPoint.COMMAND)
Browse = Callable[[Membership], Client]


@pytest.fixture
def browse(sign_in_now: SignIn) -> Browse:
    """`browse(member)`: the browser of a member who has just signed in."""

    def act(member: Membership) -> Client:
        client = Client()
        sign_in_now(client, member)
        return client

    return act


@pytest.fixture
def deploys(account: Account, user: Membership, now: datetime) -> ServiceAccount:
    """A service account with the role Engineers that names the user, whose role is lower."""
    return service_account(account, at=now, issuers=[user])


def text(answer: Any) -> str:
    return re.sub(r"\s+", " ", unescape(strip_tags(answer.content.decode())))


def form(**facts: Any) -> dict[str, Any]:
    return {
        "name": "Purge",
        "role": str(Role.ENGINEERS),
        "expiration": "never",
        "form_key": str(uuid4()),
        **facts,
    }


# --- Creating ----------------------------------------------------------------------------------


def test_named_member_creates_for_it_up_to_its_role(
    browse: Browse, user: Membership, deploys: ServiceAccount
) -> None:
    browser = browse(user)
    service_id = str(deploys.membership.user_id)
    assert "Engineers" not in text(browser.get(CREATE))
    page = browser.get(f"{CREATE}?for={service_id}")
    assert "Engineers" in text(page)
    assert f'name="issuer" value="{service_id}"' in page.content.decode()

    answer = browser.post(CREATE, form(issuer=service_id))

    token = APIToken.objects.get(name="Purge")
    assert answer.status_code == 200
    assert (token.issuer, token.held_role) == (deploys.membership, Role.ENGINEERS)
    assert browser.get(f"{TOKENS}{token.pk}/created/").status_code == 302
    above = browser.post(CREATE, form(issuer=service_id, role=str(Role.ADMINISTRATORS)))
    assert above.status_code == 400


def test_others_cannot_create_for_it_and_do_not_learn_of_it(
    browse: Browse, engineer: Membership, deploys: ServiceAccount
) -> None:
    browser = browse(engineer)

    assert "Deploys" not in text(browser.get(CREATE))
    for wrong in (str(deploys.membership.user_id), "999", "x", "9" * 40):
        assert browser.get(f"{CREATE}?for={wrong}").status_code == 404
        assert browser.post(CREATE, form(issuer=wrong)).status_code == 404
    assert not APIToken.objects.exists()


# --- The list ----------------------------------------------------------------------------------


def test_token_stands_in_the_list_with_a_badge_and_is_found_by_its_issuer(
    browse: Browse,
    administrator: Membership,
    user: Membership,
    engineer: Membership,
    deploys: ServiceAccount,
    now: datetime,
) -> None:
    issue(deploys.membership, by=Actor.member(administrator), name="Purge", at=now)
    issue(administrator, name="Other", at=now)

    found = text(browse(administrator).get(f"{TOKENS}?issued_by={deploys.membership.user_id}"))
    assert "Deploys (service account)" in found
    assert "Deploys Service account" in found
    assert "Other" not in found
    assert "Purge" in text(browse(user).get(TOKENS))
    assert "Purge" not in text(browse(engineer).get(TOKENS))


# --- Handing over ------------------------------------------------------------------------------


def test_administrator_hands_over_selected_tokens(
    browse: Browse,
    administrator: Membership,
    engineer: Membership,
    user: Membership,
    deploys: ServiceAccount,
    now: datetime,
) -> None:
    some = [issue(engineer, role=Role.ENGINEERS, at=now).token for _ in range(2)]
    browser = browse(administrator)

    sent = {"token": [each.pk for each in some], "act": "hand_over"}
    question = browser.post(f"{TOKENS}selection/", sent)
    page = browser.get(question["Location"]).content.decode()
    shown = re.search(r'name="shown" value="([^"]+)"', page)
    dialog = page[page.index("<dialog") :]
    assert shown is not None
    able = {each.user_id for each in (deploys.membership, administrator, engineer)}
    assert set(suggested(browser, dialog, "@")) == able

    wrong = browser.post(HAND_OVER, {"shown": shown[1], "to": str(user.user_id)})
    assert wrong.status_code == 400
    done = browser.post(
        HAND_OVER, {"shown": shown[1], "to": str(deploys.membership.user_id)}, follow=True
    )

    assert "2 API tokens were handed over to Deploys." in text(done)
    assert {each.issuer for each in APIToken.objects.all()} == {deploys.membership}


def test_nobody_but_administrators_hands_over(
    browse: Browse, engineer: Membership, deploys: ServiceAccount, now: datetime
) -> None:
    token = issue(engineer, at=now).token
    browser = browse(engineer)

    assert "Hand over" not in text(browser.get(TOKENS))
    assert browser.get(f"{HAND_OVER}?ids={token.pk}").status_code == 403
    sent = {"shown": str(token.pk), "to": str(deploys.membership.user_id)}
    assert browser.post(HAND_OVER, sent).status_code == 403


# --- Who has access ----------------------------------------------------------------------------


def test_one_page_tells_who_and_what_has_access_and_why(
    browse: Browse,
    account: Account,
    administrator: Membership,
    engineer: Membership,
    user: Membership,
    now: datetime,
) -> None:
    by = Actor.member(administrator)
    deploys = service_account(
        account, at=now, contact_email="ops@example.com", issuers=[user], by=by
    )
    token = issue(engineer, name="Purge", at=now).token
    hand_over(account=account, token_ids=[token.pk], to=deploys.membership, by=by, at=now)
    gone = MembershipFactory.create(account=account, removed_at=now)

    page = text(browse(administrator).get(ACCESS))

    admin = administrator.user.name
    assert "Deploys Service account Engineers Created" in page
    assert f"Role given by {admin}" in page
    assert "Contact: ops@example.com" in page
    assert f"May issue tokens: All Administrators, {user.user.name}" in page
    assert re.search(rf"Purge Users · Never expires · Handed over by {admin}", page)
    assert f"{user.user.name} {user.user.email} Users Member since" in page
    assert "May issue tokens for: Deploys" in page
    assert gone.user.email not in page


def test_page_of_access_is_for_administrators(browse: Browse, engineer: Membership) -> None:
    assert browse(engineer).get(ACCESS).status_code == 403


def test_page_of_access_costs_the_same_number_of_queries_for_any_number(
    browse: Browse, account: Account, administrator: Membership, now: datetime
) -> None:
    browser = browse(administrator)

    def add(number: int) -> None:
        for _ in range(number):
            made = service_account(account, at=now, issuers=[administrator])
            member = MembershipFactory.create(account=account, role=Role.ENGINEERS)
            issue(member, at=now)
            issue(made.membership, by=Actor.member(administrator), at=now)

    add(1)
    browser.get(ACCESS)
    with CaptureQueriesContext(connection) as few:
        browser.get(ACCESS)
    add(4)
    with CaptureQueriesContext(connection) as many:
        browser.get(ACCESS)
    assert len(many) == len(few)


def test_handover_of_another_is_not_taken_back(
    browse: Browse,
    administrator: Membership,
    engineer: Membership,
    deploys: ServiceAccount,
    now: datetime,
) -> None:
    token, address = issue(engineer, at=now).token, f"{HAND_OVER}?ids="
    address, browser = f"{address}{token.pk}", browse(administrator)
    assert engineer.user.get_full_name() in text(browser.get(address))
    question = hidden_fields(browser, address)
    by = Actor.member(administrator)
    hand_over(account=token.account, token_ids=[token.pk], to=deploys.membership, by=by, at=now)

    refused = browser.post(address, {**question, "to": administrator.user_id})

    assert refused.status_code == 400
    assert f"was handed over to {deploys.name} after you opened the page" in text(refused)
    token.refresh_from_db()
    assert token.issuer == deploys.membership
    again = {**hidden_fields(browser, address), "to": administrator.user_id}
    assert browser.post(address, again).status_code == 302
    token.refresh_from_db()
    assert token.issuer == administrator


NO_RECEIVER = "No one who can get these API tokens matches. Check the name or email, and the role."
MEANWHILE: dict[str, tuple[Callable[[APIToken, Membership, datetime], Any], str, bool]] = {
    "token rotated": (
        lambda token, _to, at: rotation.rotate(token=token, by=OPERATOR, at=at),
        "1 API token was handed over to",
        True,
    ),
    "token deleted": (
        lambda token, _to, at: token_services.delete(token=token, by=OPERATOR, at=at),
        "No tokens to hand over: they have ended.",
        False,
    ),
    "receiver left": (
        lambda _token, to, at: members.remove_member(membership=to, by=OPERATOR, at=at),
        NO_RECEIVER,
        False,
    ),
    "receiver deactivated": (
        lambda _token, to, at: users.deactivate_user(user=to.user, by=OPERATOR, at=at),
        NO_RECEIVER,
        False,
    ),
    "receiver got a lower role": (
        lambda _token, to, at: members.change_role(
            membership=to, role=Role.USERS, by=OPERATOR, at=at
        ),
        NO_RECEIVER,
        False,
    ),
}


@pytest.mark.parametrize("meanwhile", MEANWHILE)
def test_what_happens_while_the_question_stands_is_told(
    browse: Browse, administrator: Membership, engineer: Membership, now: datetime, meanwhile: str
) -> None:
    change, sentence, is_handed = MEANWHILE[meanwhile]
    token = issue(administrator, role=Role.ENGINEERS, at=now).token
    address, browser = f"{HAND_OVER}?ids={token.pk}", browse(administrator)
    question = hidden_fields(browser, address)
    change(token, engineer, now)

    answer = browser.post(address, {**question, "to": engineer.user_id}, follow=True)

    assert sentence in text(answer)
    token.refresh_from_db()
    assert (token.issuer == engineer) is is_handed


def test_page_of_access_tells_nothing_of_a_membership_that_has_ended(
    browse: Browse, administrator: Membership, now: datetime
) -> None:
    bob = MembershipFactory.create(account=administrator.account, user__name="Bob Former")
    past, operator = now - timedelta(days=30), Actor.operator(through=EntryPoint.COMMAND)
    invitation = invitations.invite(
        account=administrator.account,
        email="nora@example.com",
        role=Role.USERS,
        by=Actor.member(bob),
        at=past,
    )
    nora = User.objects.get(email="nora@example.com")
    member = invitations.accept(invitation=invitation, user=nora, by=Actor.person(nora), at=past)
    members.change_role(membership=member, role=Role.ENGINEERS, by=Actor.member(bob), at=past)
    assert text(browse(administrator).get(ACCESS)).count("Bob Former") == 3  # in person, too
    for each in (member, bob):
        members.remove_member(membership=each, by=operator, at=past + timedelta(days=1))

    invitation = invitations.invite(
        account=administrator.account,
        email="nora@example.com",
        role=Role.ADMINISTRATORS,
        by=Actor.member(administrator),
        at=now,
    )
    invitations.accept(invitation=invitation, user=nora, by=Actor.person(nora), at=now)

    page = text(browse(administrator).get(ACCESS))
    assert "Bob Former" not in page
    assert f"Invited by {administrator.user.name}" in page


def test_page_of_access_names_no_service_account_that_was_removed(
    browse: Browse, administrator: Membership, deploys: ServiceAccount, now: datetime
) -> None:
    page = text(browse(administrator).get(ACCESS))
    assert f"May issue tokens for: {deploys.name}" in page

    operator = Actor.operator(through=EntryPoint.COMMAND)
    members.remove_member(membership=deploys.membership, by=operator, at=now)

    assert deploys.name not in text(browse(administrator).get(ACCESS))


def test_page_of_access_says_whose_tokens_are_suspended(
    browse: Browse, administrator: Membership, engineer: Membership, now: datetime
) -> None:
    issue(engineer, at=now)
    assert "Suspended" not in text(browse(administrator).get(ACCESS))

    Membership.objects.filter(pk=engineer.pk).update(
        sso_at=now - timedelta(days=90), tokens_suspended_at=now
    )

    assert text(browse(administrator).get(ACCESS)).count("Suspended") == 1
