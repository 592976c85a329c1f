"""`manage.py hand_over_tokens`."""

import io
import re
from datetime import datetime

import pytest
from django.core.exceptions import ValidationError
from django.core.management import CommandError, call_command

from accounts.models import Account, Membership, User
from accounts.roles import Role
from apitokens.models import APIToken
from apitokens.tokens import handover
from tests.factories import MembershipFactory, issue, service_account

pytestmark = pytest.mark.django_db


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


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


def test_many_are_handed_over_in_parts_and_a_terminal_shows_how_far_it_is(
    account: Account, engineer: Membership, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(handover, "PART", 2)
    monkeypatch.setattr("accounts.management.progress.EVERY_SECONDS", 0)
    to = MembershipFactory.create(account=account, role=Role.ENGINEERS)
    for _ in range(5):
        issue(engineer, at=now)
    terminal, out = Terminal(), io.StringIO()

    ends = ("--from", str(engineer.user_id), "--to", str(to.user_id))
    call_command(
        "hand_over_tokens", "--account", str(account.pk), *ends, stdout=out, stderr=terminal
    )

    assert re.search(
        r"\rHanding over API tokens: 4 of 5 \(80%\), about \d+ s left", terminal.getvalue()
    )
    assert terminal.getvalue().endswith("\r")
    assert out.getvalue() == "5 API tokens were handed over.\n"
    assert {token.issuer for token in APIToken.objects.all()} == {to}


def test_part_that_is_refused_leaves_those_before_it_handed_over_and_says_so(
    account: Account, engineer: Membership, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(handover, "PART", 2)
    to = MembershipFactory.create(account=account, role=Role.ENGINEERS)
    for _ in range(5):
        issue(engineer, at=now)
    parts, out = [], io.StringIO()
    give = handover._receiver

    def gone_after_one(receiver: Membership, account_id: int) -> Membership:
        parts.append(receiver)
        if len(parts) == 2:
            raise ValidationError("The receiver no longer belongs to the account.", code="x")
        return give(receiver, account_id)

    monkeypatch.setattr(handover, "_receiver", gone_after_one)
    ends = ("--from", str(engineer.user_id), "--to", str(to.user_id))
    words = ("hand_over_tokens", "--account", str(account.pk), *ends)
    with pytest.raises(CommandError, match="no longer belongs"):
        call_command(*words, stdout=out)
    assert out.getvalue() == "2 API tokens were handed over.\n"
    assert APIToken.objects.filter(issuer=to).count() == 2

    assert hand_over(account, engineer.user_id, to.user_id) == "3 API tokens were handed over.\n"


def test_one_that_is_refused_keeps_all_where_they_are(
    account: Account, administrator: Membership, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(handover, "PART", 1)
    weak = MembershipFactory.create(account=account, role=Role.USERS)
    for role in (Role.USERS, Role.USERS, Role.ENGINEERS):
        issue(administrator, role=role, at=now)

    with pytest.raises(CommandError, match="higher than the receiver's"):
        hand_over(account, administrator.user_id, weak.user_id)

    assert APIToken.objects.filter(issuer=administrator).count() == 3
