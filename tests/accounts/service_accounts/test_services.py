"""Services of service accounts: who may manage them, and that nobody signs in as one."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest
from django.core.exceptions import PermissionDenied, ValidationError
from django.test import Client
from django.urls import reverse
from pytest_django import Settings

from accounts.authorization.actor import Actor
from accounts.email_addresses import SERVICE_ACCOUNTS, normal_email
from accounts.members import services as members
from accounts.models import Account, AuditEvent, Membership, ServiceAccount, User
from accounts.roles import Role
from accounts.service_accounts import services
from apitokens.models import APIToken
from notifications.models import Mail, Notice
from notifications.preferences import services as preferences
from notifications.recipients import Person
from tests.factories import PASSWORD, MembershipFactory, issue, service_account

pytestmark = pytest.mark.django_db

Make = Callable[..., ServiceAccount]


@pytest.fixture
def make(account: Account, now: datetime) -> Make:
    """`make(**facts)`: a service account of the account."""

    def act(**facts: Any) -> ServiceAccount:
        return service_account(account, at=now, **facts)

    return act


def codes(refusal: ValidationError) -> dict[str, str | None]:
    return {field: errors[0].code for field, errors in refusal.error_dict.items()}


def test_administrator_makes_one_and_it_is_recorded(
    account: Account, administrator: Membership, engineer: Membership, now: datetime
) -> None:
    made = services.create(
        account=account,
        name="  Deploys ",
        role=Role.ENGINEERS,
        contact=administrator,
        issuers=[engineer],
        by=Actor.member(administrator),
        at=now,
    )

    assert (made.name, made.held_role, made.contact, made.is_on) == (
        *("Deploys", Role.ENGINEERS, administrator, True),
    )
    assert list(made.issuers.all()) == [engineer]
    event = AuditEvent.objects.get(kind="service_account.created")
    assert (event.account, event.user, event.subject_id) == (
        *(account, administrator.user, made.pk),
    )


def test_nobody_but_administrators_of_the_account_manages_one(
    make: Make, engineer: Membership, stranger: Membership, now: datetime
) -> None:
    made = make(issuers=[engineer])

    for member in (engineer, stranger):
        by = Actor.member(member)
        with pytest.raises(PermissionDenied):
            services.create(account=made.account, name="X", role=Role.USERS, by=by, at=now)
        with pytest.raises(PermissionDenied):
            services.edit(service_account=made, changes={"name": "X"}, by=by, at=now)
        with pytest.raises(PermissionDenied):
            services.switch(service_account=made, is_on=False, by=by, at=now)
        with pytest.raises(PermissionDenied):
            members.remove_member(membership=made.membership, by=by, at=now)

    made.membership.refresh_from_db()
    assert not made.membership.is_removed


def test_no_list_of_people_has_it(make: Make, account: Account) -> None:
    made = make(role=Role.ADMINISTRATORS)

    assert made.membership.user not in User.objects.all()
    assert made.membership not in Membership.objects.filter(account=account)
    assert made.membership in Membership.everyone.filter(account=account)


def test_nobody_signs_in_as_it_whatever_password_it_is_given(make: Make, client: Client) -> None:
    user = make().membership.user
    user.set_password(PASSWORD)
    user.save()

    page = client.post(reverse("account_login"), {"login": user.email, "password": PASSWORD})
    token = client.post(
        "/iam/auth/jwt/login",
        {"username": user.email, "password": PASSWORD},
        content_type="application/json",
    )

    assert (page.status_code, token.status_code) == (200, 400)
    assert "_auth_user_id" not in client.session
    client.force_login(user)  # even a session that is there already
    assert client.get(reverse("accounts:profile")).status_code == 302


def test_no_person_can_have_its_address() -> None:
    with pytest.raises(ValidationError):
        normal_email(f"1@{SERVICE_ACCOUNTS.upper()}")


def test_it_belongs_to_no_other_account(make: Make, stranger: Membership, now: datetime) -> None:
    with pytest.raises(ValidationError):
        members.add_member(
            account=stranger.account,
            user=make().membership.user,
            role=Role.USERS,
            by=Actor.member(stranger),
            at=now,
        )


def test_strong_one_is_not_the_administrator_that_an_account_needs(
    make: Make, administrator: Membership, now: datetime
) -> None:
    make(role=Role.ADMINISTRATORS)

    with pytest.raises(PermissionDenied, match="last Administrator"):
        members.leave_account(membership=administrator, by=Actor.member(administrator), at=now)


@pytest.mark.parametrize(
    ("facts", "expected"),
    [
        ({"name": " "}, {"name": "required"}),
        ({"name": "x" * 151}, {"name": "max_length"}),
        ({"name": "see www.example.com"}, {"name": "address"}),
        ({"description": "x" * 2001}, {"description": "max_length"}),
        ({"contact_email": "nobody"}, {"contact_email": "invalid"}),
        ({"contact_email": f"1@{SERVICE_ACCOUNTS}"}, {"contact_email": "invalid"}),
    ],
)
def test_bad_input_makes_nothing(
    make: Make, facts: dict[str, Any], expected: dict[str, str]
) -> None:
    with pytest.raises(ValidationError) as refused:
        make(**facts)

    assert codes(refused.value) == expected
    assert not ServiceAccount.objects.exists()


def test_strangers_and_service_accounts_look_after_none(
    make: Make, stranger: Membership, administrator: Membership, now: datetime
) -> None:
    other = make(name="Other").membership

    for wrong in (stranger, other):
        for facts in ({"contact": wrong}, {"issuers": [administrator, wrong]}):
            with pytest.raises(ValidationError) as refused:
                make(**facts)
            assert codes(refused.value) == {next(iter(facts)): "not_member"}


def test_contact_is_a_member_or_an_address(make: Make, administrator: Membership) -> None:
    with pytest.raises(ValidationError) as refused:
        make(contact=administrator, contact_email="ops@example.com")

    assert codes(refused.value) == {"contact_email": "two_contacts"}


def test_number_is_limited(
    make: Make, monkeypatch: pytest.MonkeyPatch, administrator: Membership, now: datetime
) -> None:
    monkeypatch.setattr(services, "MOST", 1)
    first = make()

    with pytest.raises(ValidationError, match="at most 1"):
        make()
    members.remove_member(membership=first.membership, by=Actor.member(administrator), at=now)
    make()


def test_edit_changes_what_is_given_and_is_idempotent(
    make: Make, administrator: Membership, engineer: Membership, now: datetime
) -> None:
    made, by = make(contact_email="ops@example.com"), Actor.member(administrator)
    changes = services.Changes(name="Purges", role=Role.USERS, issuers=[engineer])

    for _time in range(2):
        edited = services.edit(service_account=made, changes=changes, by=by, at=now)

    assert (edited.name, edited.held_role) == ("Purges", Role.USERS)
    assert edited.contact_email == "ops@example.com"
    assert list(edited.issuers.all()) == [engineer]
    assert AuditEvent.objects.filter(kind="service_account.edited").count() == 1


def test_role_does_not_fall_below_its_tokens(
    make: Make, administrator: Membership, now: datetime
) -> None:
    made, by = make(), Actor.member(administrator)
    issue(made.membership, by=by, role=Role.ENGINEERS, at=now)

    with pytest.raises(PermissionDenied, match="service account has a higher role"):
        services.edit(service_account=made, changes={"role": Role.USERS}, by=by, at=now)


def test_removal_follows_the_rules_of_people(
    make: Make, administrator: Membership, now: datetime
) -> None:
    made, by = make(), Actor.member(administrator)
    token = issue(made.membership, by=by, at=now).token

    with pytest.raises(PermissionDenied, match="as it has active tokens"):
        members.remove_member(membership=made.membership, by=by, at=now)
    assert members.remove_member(membership=made.membership, delete_tokens=True, by=by, at=now)

    assert APIToken.objects.get(pk=token.pk).is_deleted
    assert not ServiceAccount.objects.of(made.account.pk).exists()


def test_member_who_leaves_looks_after_none_any_more(
    make: Make, administrator: Membership, engineer: Membership, now: datetime
) -> None:
    made = make(contact=engineer, issuers=[engineer])

    members.remove_member(membership=engineer, by=Actor.member(administrator), at=now)

    made.refresh_from_db()
    assert made.contact is None
    assert not made.issuers.exists()


def test_member_who_loses_a_role_cannot_keep_its_power_through_a_service_account(
    make: Make, account: Account, administrator: Membership, now: datetime
) -> None:
    demoted = MembershipFactory.create(account=account, role=Role.ADMINISTRATORS)
    strong = make(role=Role.ADMINISTRATORS, issuers=[demoted])
    weak = make(role=Role.USERS, issuers=[demoted])

    members.change_role(
        membership=demoted, role=Role.ENGINEERS, by=Actor.member(administrator), at=now
    )

    assert list(demoted.may_issue_for.all()) == [weak]
    with pytest.raises(PermissionDenied):
        issue(strong.membership, by=Actor.member(demoted), role=Role.USERS, at=now)
    issue(weak.membership, by=Actor.member(demoted), role=Role.USERS, at=now)
    assert AuditEvent.objects.filter(kind="service_account.issuer_dropped").count() == 1


def test_new_contact_address_does_not_inherit_what_the_former_one_turned_off(
    make: Make, administrator: Membership, now: datetime
) -> None:
    from notifications.kinds import TOKEN_EXPIRING, Channel

    made = make(contact_email="former@example.com")
    person = Person(made.membership.user_id, made.account.pk)
    preferences.turn_off(person, TOKEN_EXPIRING, Channel.EMAIL)

    services.edit(
        service_account=made,
        changes={"contact_email": "new@example.com"},
        by=Actor.member(administrator),
        at=now,
    )

    assert Channel.EMAIL in preferences.wanted_channels([person], TOKEN_EXPIRING)[person]


def test_it_has_no_inbox_and_no_mail_of_its_own(
    make: Make, administrator: Membership, now: datetime
) -> None:
    made = make()

    issue(made.membership, by=Actor.member(administrator), at=now)

    user = made.membership.user
    assert not Mail.objects.filter(user=user).exists()
    assert not Notice.objects.filter(user=user).exists()


def test_account_enters_only_so_many_contact_addresses_in_a_day(
    administrator: Membership,
    engineer: Membership,
    stranger: Membership,
    now: datetime,
    settings: Settings,
) -> None:
    settings.INVITATIONS_PER_DAY = 2
    robot = service_account(administrator.account, at=now)  # an operator's address is not counted
    by = Actor.member(administrator)

    def enter(address: str) -> None:
        services.edit(service_account=robot, changes={"contact_email": address}, by=by, at=now)

    enter("a@stranger.example")
    enter("b@stranger.example")
    enter(engineer.user.email)  # a member's is not counted either
    enter("")
    with pytest.raises(ValidationError) as refused:
        enter("c@stranger.example")
    assert refused.value.error_dict["contact_email"][0].code == "too_many_addresses"
    with pytest.raises(ValidationError):
        services.create(
            account=administrator.account, name="More", role=Role.USERS,
            contact_email="d@stranger.example", by=by, at=now,
        )  # fmt: skip
    robot.refresh_from_db()
    assert robot.contact_email == ""
    assert ServiceAccount.objects.count() == 1
    # Those of another account are counted by themselves.
    services.create(
        account=stranger.account, name="Theirs", role=Role.USERS,
        contact_email="e@stranger.example", by=Actor.member(stranger), at=now,
    )  # fmt: skip


@pytest.mark.parametrize("allowed", [0, 10**6])
def test_limit_of_addresses_is_kept_for_whatever_number_operators_choose(
    administrator: Membership, now: datetime, settings: Settings, allowed: int
) -> None:
    """Each number costs an entry of the cache, and they are read while the account is locked."""
    settings.INVITATIONS_PER_DAY = allowed
    made = service_account(administrator.account, at=now)
    changes = services.Changes(contact_email="a@stranger.example")
    by = Actor.member(administrator)

    if allowed:
        edited = services.edit(service_account=made, changes=changes, by=by, at=now)
        assert edited.contact_email == "a@stranger.example"
        return
    with pytest.raises(ValidationError) as refused:
        services.edit(service_account=made, changes=changes, by=by, at=now)
    assert refused.value.error_dict["contact_email"][0].code == "too_many_addresses"
