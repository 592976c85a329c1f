"""The questions before a membership ends: the answer takes what was shown, and nothing else."""

import re
from datetime import datetime
from typing import Any

import pytest
from django.test import Client
from django.urls import reverse

from accounts.authorization.actor import Actor, EntryPoint
from accounts.members import services as members
from accounts.models import Membership
from accounts.roles import Role
from apitokens.models import APIToken
from apitokens.tokens.handover import hand_over
from tests.conftest import Issue, SignIn
from tests.factories import issue as issue_for
from tests.factories import service_account
from tests.questions import hidden_fields

pytestmark = pytest.mark.django_db
OPERATOR = Actor.operator(through=EntryPoint.COMMAND)
AGAIN = "so nothing has been done. Check what the page shows now, and confirm again."


def give(token: APIToken, to: Membership, now: datetime) -> None:
    hand_over(account=to.account, token_ids=[token.pk], to=to, by=OPERATOR, at=now)


def removal_of(member: Membership) -> str:
    return reverse("accounts:remove", args=[member.account_id, member.user_id])


def words(answer: Any) -> str:
    return re.sub(r"\s+", " ", answer.content.decode())


@pytest.mark.parametrize("page", ["remove", "remove_service_account", "leave"])
def test_tokens_that_came_since_the_question_are_asked_about_again(
    client: Client,
    administrator: Membership,
    engineer: Membership,
    user: Membership,
    issue: Issue,
    sign_in_now: SignIn,
    now: datetime,
    page: str,
) -> None:
    other, leaving = issue(user, name="Production").token, engineer
    if page == "remove_service_account":
        leaving = service_account(administrator.account, at=now).membership
    issue_for(leaving, at=now, by=OPERATOR)
    whole = [administrator.account_id, leaving.user_id]
    address = reverse(f"accounts:{page}", args=whole[:1] if page == "leave" else whole)
    sign_in_now(client, engineer if page == "leave" else administrator)
    question = hidden_fields(client, address)
    give(other, leaving, now)

    refused = client.post(address, {**question, "delete_tokens": "on"})

    assert refused.status_code == 403
    assert AGAIN in words(refused)
    assert "2 active API tokens" in words(refused)
    assert not Membership.everyone.get(pk=leaving.pk).is_removed
    assert not APIToken.objects.filter(deleted_at__isnull=False).exists()

    client.post(address, {**hidden_fields(client, address), "delete_tokens": "on"})

    assert Membership.everyone.get(pk=leaving.pk).is_removed
    assert APIToken.objects.get(pk=other.pk).is_deleted


def test_tokens_that_came_since_the_question_are_not_handed_over(
    client: Client,
    administrator: Membership,
    engineer: Membership,
    user: Membership,
    issue: Issue,
    sign_in_now: SignIn,
    now: datetime,
) -> None:
    issue(engineer)
    other, to = issue(user).token, service_account(administrator.account, at=now)
    sign_in_now(client, administrator)
    question = hidden_fields(client, removal_of(engineer))
    give(other, engineer, now)

    client.post(removal_of(engineer), {**question, "hand_over_to": to.membership.user_id})

    other.refresh_from_db()
    assert other.issuer == engineer
    assert not APIToken.objects.filter(issuer=to.membership).exists()


@pytest.mark.parametrize("role", [Role.ENGINEERS, Role.ADMINISTRATORS])
def test_membership_that_began_after_the_question_is_not_ended(
    client: Client,
    administrator: Membership,
    engineer: Membership,
    sign_in_now: SignIn,
    now: datetime,
    role: Role,
) -> None:
    sign_in_now(client, administrator)
    question = hidden_fields(client, removal_of(engineer))
    members.remove_member(membership=engineer, by=OPERATOR, at=now)
    members.add_member(account=engineer.account, user=engineer.user, role=role, by=OPERATOR, at=now)

    assert AGAIN in words(client.post(removal_of(engineer), question))

    engineer.refresh_from_db()
    assert not engineer.is_removed


def test_member_is_removed_if_nothing_has_changed(
    client: Client,
    administrator: Membership,
    engineer: Membership,
    issue: Issue,
    sign_in_now: SignIn,
) -> None:
    token = issue(engineer).token
    sign_in_now(client, administrator)
    question = hidden_fields(client, removal_of(engineer))

    client.post(removal_of(engineer), {**question, "delete_tokens": "on"})

    engineer.refresh_from_db()
    token.refresh_from_db()
    assert (engineer.is_removed, token.is_deleted) == (True, True)
