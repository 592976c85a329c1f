"""The limit of an account: exactly so many active tokens, and what does not count."""

from datetime import datetime, timedelta

import pytest
from django.core.exceptions import ValidationError

from accounts.authorization.actor import Actor
from accounts.models import Account, AuditEvent, Membership
from apitokens.models import APIToken
from apitokens.tokens import services as token_services
from tests.conftest import Issue

pytestmark = pytest.mark.django_db


@pytest.fixture
def small(account: Account) -> Account:
    """The account, with a limit of three."""
    account.token_limit = 3
    account.save()
    return account


def test_account_may_have_fifty_active_tokens_unless_an_operator_changed_it(
    account: Account,
) -> None:
    assert account.token_limit == 50


def test_fiftieth_token_is_issued_and_the_next_refused(user: Membership, issue: Issue) -> None:
    for _each in range(50):
        issue(user)
    with pytest.raises(ValidationError) as refused:
        issue(user)
    assert refused.value.code == "limit_reached"
    assert refused.value.messages == [
        "This account has reached its limit of 50 API tokens. Delete one you no longer need, "
        "then try again."
    ]
    assert APIToken.objects.count() == 50


def test_tokens_of_all_members_count_together(
    small: Account, user: Membership, engineer: Membership, issue: Issue
) -> None:
    issue(user)
    issue(engineer)
    issue(engineer)
    with pytest.raises(ValidationError):
        issue(user)


def test_tokens_of_other_accounts_do_not_count(
    small: Account, user: Membership, stranger: Membership, issue: Issue
) -> None:
    for _each in range(3):
        issue(stranger)
    assert issue(user)


def test_deleted_token_makes_room(
    small: Account, user: Membership, issue: Issue, now: datetime
) -> None:
    tokens = [issue(user).token for _each in range(3)]
    token_services.delete(token=tokens[0], by=Actor.member(user), at=now)
    assert issue(user)


def test_expired_token_makes_room_from_its_last_instant_on(
    small: Account, user: Membership, issue: Issue, now: datetime
) -> None:
    for _each in range(3):
        issue(user, expires_at=now + timedelta(hours=1))
    with pytest.raises(ValidationError):
        issue(user, at=now + timedelta(minutes=59, seconds=59))
    assert issue(user, at=now + timedelta(hours=1))


def test_raised_limit_makes_room(small: Account, user: Membership, issue: Issue) -> None:
    for _each in range(3):
        issue(user)
    Account.objects.update(token_limit=4)
    assert issue(user)


def test_limit_above_that_of_former_releases_holds(
    account: Account, user: Membership, issue: Issue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("accounts.models.account._HIGHEST_OF_FORMER_COLUMN", 1)
    account.most_tokens = 3
    account.save()
    for _number in range(3):
        issue(user)
    with pytest.raises(ValidationError):
        issue(user)


def test_lowered_limit_ends_no_token_and_lets_no_new_one_in(
    small: Account, user: Membership, issue: Issue, now: datetime
) -> None:
    for _each in range(3):
        issue(user)
    Account.objects.update(token_limit=1)
    with pytest.raises(ValidationError):
        issue(user)
    assert APIToken.objects.active(now).count() == 3


def test_limit_of_none_lets_nobody_in(account: Account, user: Membership, issue: Issue) -> None:
    Account.objects.update(token_limit=0)
    with pytest.raises(ValidationError):
        issue(user)


def test_refusal_at_the_limit_is_remembered(small: Account, user: Membership, issue: Issue) -> None:
    for _each in range(3):
        issue(user)
    with pytest.raises(ValidationError):
        issue(user)
    event = AuditEvent.objects.get(kind="token.issue_refused")
    assert (event.account, event.user, event.details["code"]) == (
        small,
        user.user,
        "limit_reached",
    )


def test_usage_counts_what_the_limit_counts(
    small: Account, user: Membership, stranger: Membership, issue: Issue, now: datetime
) -> None:
    issue(user)
    issue(user, expires_at=now + timedelta(days=1))
    issue(stranger)
    later = now + timedelta(days=2)
    assert token_services.usage(small, at=now) == (2, 3)
    assert token_services.usage(small, at=later) == (1, 3)


def test_account_is_full_at_the_limit_and_above_it() -> None:
    assert not token_services.Usage(49, 50).is_full
    assert token_services.Usage(50, 50).is_full
    assert token_services.Usage(51, 50).is_full
