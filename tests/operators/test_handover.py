"""`manage.py hand_over_tokens`."""

import io
from datetime import datetime

import pytest
from django.core.management import CommandError, call_command

from accounts.models import Account, Membership, User
from accounts.roles import Role
from apitokens.models import APIToken
from tests.factories import MembershipFactory, issue, service_account

pytestmark = pytest.mark.django_db


def hand_over(account: Account, former: object, receiver: object) -> str:
    out = io.StringIO()
    options = ("--from", str(former), "--to", str(receiver))
    call_command("hand_over_tokens", "--account", str(account.pk), *options, stdout=out)
    return out.getvalue()


def test_all_tokens_of_a_deactivated_user_go_to_a_service_account(
    account: Account, engineer: Membership, now: datetime
) -> None:
    deploys = service_account(account, at=now).membership
    for _ in range(2):
        issue(engineer, at=now)
    User.objects.filter(pk=engineer.user_id).update(is_active=False)

    said = hand_over(account, engineer.user.email.upper(), deploys.user_id)

    assert said == "2 API tokens were handed over.\n"
    assert {token.issuer for token in APIToken.objects.all()} == {deploys}


def test_refusals_are_told(account: Account, engineer: Membership, now: datetime) -> None:
    weak = MembershipFactory.create(account=account, role=Role.USERS)
    stranger = MembershipFactory.create()
    issue(engineer, role=Role.ENGINEERS, at=now)

    with pytest.raises(CommandError, match="higher than the receiver's"):
        hand_over(account, engineer.user_id, weak.user_id)
    for unknown in (stranger.user.email, "nobody@example.com", 10**30, ""):
        with pytest.raises(CommandError, match="has no user or service account"):
            hand_over(account, engineer.user_id, unknown)
    assert APIToken.objects.get().issuer == engineer
