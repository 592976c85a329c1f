"""Services of operators: what they promise, and who is refused."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import transaction

from accounts.account import services as account_services
from accounts.authorization.actor import Actor, EntryPoint
from accounts.models import Account, AuditEvent, Membership, User
from accounts.users import services as user_services
from tests.factories import PASSWORD, UserFactory

OPERATOR = Actor.operator(through=EntryPoint.COMMAND)
NEW_PASSWORD = "another long pass phrase"

Act = Callable[[Membership, Actor, datetime], Any]
OPERATOR_SERVICES: dict[str, Act] = {
    "rename": lambda member, by, at: account_services.rename_account(
        account=member.account, name="Other", by=by, at=at
    ),
    "change_limit": lambda member, by, at: account_services.change_token_limit(
        account=member.account, limit=1000, by=by, at=at
    ),
    "close": lambda member, by, at: account_services.close_account(
        account=member.account, by=by, at=at
    ),
    "reopen": lambda member, by, at: account_services.reopen_account(
        account=member.account, by=by, at=at
    ),
    "create_user": lambda member, by, at: user_services.create_user(
        email="new@example.com", password=None, by=by, at=at
    ),
    "set_password": lambda member, by, at: user_services.set_password(
        user=member.user, password=NEW_PASSWORD, by=by, at=at
    ),
    "make_operator": lambda member, by, at: user_services.make_operator(
        user=member.user, by=by, at=at
    ),
    "deactivate": lambda member, by, at: user_services.deactivate_user(
        user=member.user, by=by, at=at
    ),
    "reactivate": lambda member, by, at: user_services.reactivate_user(
        user=member.user, by=by, at=at
    ),
}


@pytest.mark.parametrize(
    "service", [service for service in OPERATOR_SERVICES if service != "rename"]
)
def test_administrator_of_the_account_is_refused(
    service: str, administrator: Membership, engineer: Membership, now: datetime
) -> None:
    with pytest.raises(PermissionDenied):
        OPERATOR_SERVICES[service](engineer, Actor.member(administrator), now)

    assert not AuditEvent.objects.exists()


def test_administrator_renames_the_account(administrator: Membership, now: datetime) -> None:
    by = Actor.member(administrator)
    account_services.rename_account(account=administrator.account, name="Other", by=by, at=now)

    administrator.account.refresh_from_db()
    assert administrator.account.name == "Other"


@pytest.mark.parametrize("whose", ["own", "another"])
def test_others_do_not_rename_it(
    administrator: Membership,
    engineer: Membership,
    stranger: Membership,
    now: datetime,
    whose: str,
) -> None:
    by = Actor.member(engineer if whose == "own" else stranger)
    with pytest.raises(PermissionDenied):
        account_services.rename_account(account=administrator.account, name="Other", by=by, at=now)

    assert not AuditEvent.objects.exists()


@pytest.mark.parametrize("service", OPERATOR_SERVICES)
def test_user_without_an_account_is_refused(
    service: str, engineer: Membership, now: datetime
) -> None:
    lonely = Actor(through=EntryPoint.PORTAL, user=UserFactory.create())

    with pytest.raises(PermissionDenied):
        OPERATOR_SERVICES[service](engineer, lonely, now)

    assert not AuditEvent.objects.exists()


@pytest.mark.parametrize(
    "service", ["rename", "change_limit", "close", "make_operator", "deactivate"]
)
def test_service_is_idempotent(service: str, engineer: Membership, now: datetime) -> None:
    for _time in range(2):
        OPERATOR_SERVICES[service](engineer, OPERATOR, now)

    assert AuditEvent.objects.count() == 1


@pytest.mark.parametrize("service", ["reopen", "reactivate"])
def test_what_is_open_or_active_is_left_alone(
    service: str, engineer: Membership, now: datetime
) -> None:
    OPERATOR_SERVICES[service](engineer, OPERATOR, now)

    assert not AuditEvent.objects.exists()


@pytest.mark.parametrize("service", OPERATOR_SERVICES)
def test_event_goes_when_the_deed_is_rolled_back(
    service: str, engineer: Membership, now: datetime
) -> None:
    with transaction.atomic():
        OPERATOR_SERVICES[service](engineer, OPERATOR, now)
        transaction.set_rollback(True)

    assert not AuditEvent.objects.exists()


@pytest.mark.both
def test_every_limit_in_range_is_kept(account: Account, now: datetime) -> None:
    """Also those that the column of former releases could not hold."""
    for limit in (10_000, 10_001, 100_000, 9_999, 0):
        account_services.change_token_limit(account=account, limit=limit, by=OPERATOR, at=now)
        account.refresh_from_db()
        assert account.most_tokens == limit


@pytest.mark.parametrize("limit", [-1, 100_001, 2**63])
def test_limit_out_of_range_is_refused(account: Account, now: datetime, limit: int) -> None:
    with pytest.raises(ValidationError):
        account_services.change_token_limit(account=account, limit=limit, by=OPERATOR, at=now)

    account.refresh_from_db()
    assert account.token_limit == 50


def test_nobody_switches_themselves_off(engineer: Membership, now: datetime) -> None:
    user_services.make_operator(user=engineer.user, by=OPERATOR, at=now)
    oneself = Actor.operator(through=EntryPoint.ADMIN, user=engineer.user)

    with pytest.raises(PermissionDenied):
        user_services.deactivate_user(user=engineer.user, by=oneself, at=now)

    engineer.user.refresh_from_db()
    assert engineer.user.is_active


def test_person_sets_their_own_password(engineer: Membership, now: datetime) -> None:
    user_services.set_password(
        user=engineer.user, password=NEW_PASSWORD, by=Actor.member(engineer), at=now
    )

    engineer.user.refresh_from_db()
    assert engineer.user.check_password(NEW_PASSWORD)


@pytest.mark.parametrize("password", ["", "short", "password1234", "engineer@example.com"])
def test_weak_password_is_refused(password: str, now: datetime, db: None) -> None:
    user = UserFactory.create(email="engineer@example.com")

    with pytest.raises(ValidationError) as refusal:
        user_services.set_password(user=user, password=password, by=OPERATOR, at=now)

    assert set(refusal.value.error_dict) == {"password"}
    user.refresh_from_db()
    assert user.check_password(PASSWORD)


def test_password_is_in_no_event(now: datetime, db: None) -> None:
    user = user_services.create_user(
        email="new@example.com", password=NEW_PASSWORD, by=OPERATOR, at=now
    )
    user_services.set_password(user=user, password=NEW_PASSWORD + "!", by=OPERATOR, at=now)

    assert not [event for event in AuditEvent.objects.all() if NEW_PASSWORD in str(vars(event))]


def test_second_user_with_the_address_is_refused(now: datetime, db: None) -> None:
    UserFactory.create(email="new@example.com")

    with pytest.raises(ValidationError) as refusal:
        user_services.create_user(email=" NEW@example.com", password=None, by=OPERATOR, at=now)

    assert "email" in refusal.value.error_dict
    assert User.objects.count() == 1
