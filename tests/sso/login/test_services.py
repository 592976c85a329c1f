"""Who may come in through an account's identity provider, and who may not."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from allauth.account.models import EmailAddress
from pytest_django import Settings

from accounts.account import services as account_services
from accounts.authorization.actor import Actor, EntryPoint
from accounts.invitations import services as invitations
from accounts.members import services as members
from accounts.members import suspension
from accounts.models import AuditEvent, Invitation, Membership, User
from accounts.roles import Role
from accounts.users import services as user_services
from sso.login import replay_protection
from sso.login import services as login
from sso.models import Connection, Domain, Subject, UsedAssertion
from sso.saml.errors import Refused
from tests.factories import (
    ConnectionFactory,
    DomainFactory,
    MembershipFactory,
    SubjectFactory,
    UserFactory,
)
from tests.sso.saml_responses import EMAIL_FORMAT, make_assertion

pytestmark = pytest.mark.django_db

BY = Actor(through=EntryPoint.PORTAL, address="192.0.2.7")
OPERATOR = Actor.operator(through=EntryPoint.COMMAND)
DAY = timedelta(days=1)
Arrive = Callable[..., Membership]


@pytest.fixture
def arrive(trusted: Connection, now: datetime) -> Arrive:
    """`arrive(**facts)`: somebody comes with an assertion that says so; a new one each time."""
    number = iter(range(1000))

    def act(connection: Connection = trusted, at: datetime = now, **facts: Any) -> Membership:
        assertion = make_assertion(at=at, **{"assertion_id": f"_{next(number)}", **facts})
        return login.log_in_with_assertion(connection=connection, assertion=assertion, by=BY, at=at)

    return act


@pytest.fixture
def maria(trusted: Connection) -> Membership:
    """A member of the account whose address is in its domain."""
    return MembershipFactory.create(
        account=trusted.account, user__email="maria@example.com", role=Role.ENGINEERS
    )


def assert_refused(code: str, act: Callable[[], object]) -> None:
    """Nobody is let in, and the account's log says why."""
    with pytest.raises(Refused) as refusal:
        act()
    assert refusal.value.code == code
    event = AuditEvent.objects.filter(kind="sso.refused").newest_first().first()
    assert event is not None
    assert event.details["code"] == code


# --- Members -----------------------------------------------------------------------------------


def test_member_is_linked_when_they_come_for_the_first_time(
    arrive: Arrive, maria: Membership, now: datetime
) -> None:
    assert arrive(name_id="maria-7f3a") == maria

    subject = Subject.objects.get(membership=maria)
    assert (subject.name_id, subject.linked_at) == ("maria-7f3a", now)


def test_member_keeps_their_role_whatever_the_provider_says(
    arrive: Arrive, maria: Membership
) -> None:
    arrive(attributes={"role": ["Users"]})

    maria.refresh_from_db()
    assert maria.held_role is Role.ENGINEERS


def test_coming_through_is_remembered(arrive: Arrive, maria: Membership, now: datetime) -> None:
    arrive()

    maria.refresh_from_db()
    assert maria.sso_at == now


def test_coming_through_lifts_the_suspension_of_tokens(
    arrive: Arrive, maria: Membership, now: datetime
) -> None:
    arrive()
    maria.refresh_from_db()
    assert suspension.suspend_tokens(membership=maria, by=OPERATOR, at=now + DAY)

    arrive(at=now + 2 * DAY)

    maria.refresh_from_db()
    assert not maria.has_suspended_tokens


def test_linked_member_comes_in_by_their_name_whatever_address_is_claimed(
    arrive: Arrive, maria: Membership
) -> None:
    arrive(name_id="maria-7f3a")

    assert arrive(name_id="maria-7f3a", email="someone@elsewhere.example") == maria


def test_linked_member_comes_in_without_any_address(arrive: Arrive, maria: Membership) -> None:
    arrive()

    assert arrive(email=None) == maria


def test_linked_member_comes_in_though_the_domain_was_withdrawn(
    arrive: Arrive, maria: Membership
) -> None:
    arrive()
    Domain.objects.all().delete()

    assert arrive() == maria


def test_other_name_with_the_address_of_a_linked_member_is_refused(
    arrive: Arrive, maria: Membership
) -> None:
    arrive(name_id="maria-7f3a")

    assert_refused("other_name", lambda: arrive(name_id="mallory-01"))


def test_member_of_another_domain_is_refused(arrive: Arrive, trusted: Connection) -> None:
    MembershipFactory.create(account=trusted.account, user__email="paul@elsewhere.example")

    assert_refused("domain", lambda: arrive(email="paul@elsewhere.example"))


@pytest.mark.parametrize("email", ["maria@example.com.evil.example", "maria@sub.example.com"])
def test_domain_is_the_whole_domain(arrive: Arrive, email: str) -> None:
    assert_refused("domain", lambda: arrive(email=email))


def test_domain_that_waits_for_the_operator_lets_nobody_in(
    arrive: Arrive, maria: Membership
) -> None:
    Domain.objects.update(approved_at=None, approved_by=None)

    assert_refused("domain", arrive)


def test_domain_of_another_account_lets_nobody_in(arrive: Arrive, maria: Membership) -> None:
    Domain.objects.all().delete()
    DomainFactory.create(name="example.com")

    assert_refused("domain", arrive)


# --- Who stays out -----------------------------------------------------------------------------


def test_removed_member_stays_out(
    arrive: Arrive, maria: Membership, administrator: Membership, now: datetime
) -> None:
    members.remove_member(membership=maria, by=Actor.member(administrator), at=now)

    assert_refused("removed", arrive)


def test_removed_member_stays_out_even_by_a_name_that_was_linked(
    arrive: Arrive, maria: Membership, administrator: Membership, now: datetime
) -> None:
    arrive()
    members.remove_member(membership=maria, by=Actor.member(administrator), at=now)

    assert_refused("removed", arrive)


def test_removed_member_who_was_added_again_comes_in(
    arrive: Arrive, maria: Membership, administrator: Membership, now: datetime
) -> None:
    arrive()
    by = Actor.member(administrator)
    members.remove_member(membership=maria, by=by, at=now)
    members.add_member(account=maria.account, user=maria.user, role=Role.USERS, by=by, at=now + DAY)

    assert arrive(name_id="another-name", at=now + DAY) == maria


def test_operator_of_the_portal_stays_out(arrive: Arrive, maria: Membership) -> None:
    User.objects.filter(pk=maria.user_id).update(is_staff=True)

    assert_refused("operator", arrive)
    assert not Subject.objects.exists()


def test_linked_member_who_became_an_operator_stays_out(arrive: Arrive, maria: Membership) -> None:
    arrive()
    User.objects.filter(pk=maria.user_id).update(is_staff=True)

    assert_refused("operator", arrive)


def test_member_who_was_switched_off_stays_out(
    arrive: Arrive, maria: Membership, now: datetime
) -> None:
    arrive()
    user_services.deactivate_user(user=maria.user, by=OPERATOR, at=now)

    assert_refused("inactive", arrive)


@pytest.mark.parametrize("is_confirmed", [True, False])
def test_user_of_another_account_stays_out_whatever_is_claimed(
    arrive: Arrive, is_confirmed: bool
) -> None:
    other = MembershipFactory.create(user__email="maria@example.com")
    EmailAddress.objects.filter(user=other.user).update(verified=is_confirmed)

    assert_refused("other_account", arrive)
    assert not Membership.objects.filter(user=other.user).exclude(pk=other.pk).exists()


def test_user_without_any_account_stays_out(arrive: Arrive) -> None:
    UserFactory.create(email="maria@example.com")

    assert_refused("other_account", arrive)


def test_name_that_another_accounts_provider_has_linked_is_nobody_here(
    arrive: Arrive, now: datetime
) -> None:
    SubjectFactory.create(name_id="maria-7f3a")

    newcomer = arrive(name_id="maria-7f3a")

    assert newcomer.user.email == "maria@example.com"
    assert Subject.objects.filter(name_id="maria-7f3a").count() == 2


def test_nobody_comes_in_while_it_is_switched_off(
    arrive: Arrive, trusted: Connection, maria: Membership
) -> None:
    Connection.objects.update(is_on=False)

    assert_refused("switched_off", arrive)


def test_nobody_comes_into_a_closed_account(
    arrive: Arrive, maria: Membership, now: datetime
) -> None:
    account_services.close_account(account=maria.account, by=OPERATOR, at=now)

    assert_refused("switched_off", arrive)


@pytest.mark.both
def test_message_has_to_be_signed_where_it_was_in_the_test(
    arrive: Arrive, maria: Membership, trusted: Connection
) -> None:
    trusted.signs_messages = True

    assert_refused("unsigned_response", lambda: arrive(message_is_signed=False))
    assert arrive(message_is_signed=True) == maria


def test_signed_assertion_is_enough_where_messages_were_not_signed_in_the_test(
    arrive: Arrive, maria: Membership
) -> None:
    assert arrive(message_is_signed=False) == maria


@pytest.fixture
def elsewhere(maria: Membership) -> Connection:
    """Another account's provider, to which her new address belongs; she is a member there, too."""
    connection = ConnectionFactory.create()
    DomainFactory.create(connection=connection, name="globex.example")
    MembershipFactory.create(account=connection.account, user=maria.user)
    return connection


@pytest.mark.parametrize("is_forced", [True, False])
def test_provider_is_no_way_around_another_one_that_is_forced(
    arrive: Arrive, maria: Membership, elsewhere: Connection, is_forced: bool
) -> None:
    """She is linked here since before. Who is in, is in all their accounts."""
    arrive()
    User.objects.filter(pk=maria.user_id).update(email="maria@globex.example")
    Connection.objects.filter(pk=elsewhere.pk).update(is_forced=is_forced)

    if is_forced:
        assert_refused("other_provider", arrive)
    else:
        assert arrive() == maria


def test_provider_that_is_forced_elsewhere_does_not_concern_who_is_no_member_there(
    arrive: Arrive, maria: Membership, elsewhere: Connection, now: datetime
) -> None:
    arrive()
    User.objects.filter(pk=maria.user_id).update(email="maria@globex.example")
    Connection.objects.filter(pk=elsewhere.pk).update(is_forced=True)
    Membership.objects.filter(account=elsewhere.account).update(removed_at=now)

    assert arrive() == maria


def test_assertion_lets_somebody_in_once(arrive: Arrive, maria: Membership) -> None:
    arrive(assertion_id="_once")

    assert_refused("replayed", lambda: arrive(assertion_id="_once"))


def test_assertion_that_was_refused_is_used_up_too(arrive: Arrive, trusted: Connection) -> None:
    Connection.objects.update(is_on=False)
    assert_refused("switched_off", lambda: arrive(assertion_id="_once"))
    Connection.objects.update(is_on=True)

    assert_refused("replayed", lambda: arrive(assertion_id="_once"))


def test_assertions_are_forgotten_when_nobody_would_believe_them(
    arrive: Arrive, now: datetime
) -> None:
    arrive(ends_at=now + timedelta(minutes=5))

    assert replay_protection.delete_expired_assertions(at=now + timedelta(minutes=4)) == 0
    assert replay_protection.delete_expired_assertions(at=now + timedelta(minutes=5)) == 1
    assert not UsedAssertion.objects.exists()


# --- New people --------------------------------------------------------------------------------


def test_new_person_becomes_a_member_with_the_default_role(arrive: Arrive) -> None:
    newcomer = arrive(attributes={"displayName": ["Maria Example"]})

    assert (newcomer.user.email, newcomer.user.name) == ("maria@example.com", "Maria Example")
    assert newcomer.held_role is Role.USERS
    assert not newcomer.user.has_usable_password()


def test_arrival_of_a_new_person_is_told(arrive: Arrive) -> None:
    arrive()

    kinds = set(AuditEvent.objects.values_list("kind", flat=True))
    assert {"user.created", "member.added", "sso.linked"} <= kinds


def test_new_person_stays_out_where_the_account_takes_none(
    arrive: Arrive, trusted: Connection
) -> None:
    Connection.objects.update(takes_new_people=False)

    assert_refused("no_new_people", arrive)
    assert not User.objects.filter(email="maria@example.com").exists()


def test_new_people_come_as_long_as_the_account_has_room(
    arrive: Arrive, settings: Settings, now: datetime
) -> None:
    settings.SSO_NEW_PEOPLE_PER_DAY = 2
    for name in ("anna", "otto"):
        arrive(name_id=name, email=f"{name}@example.com")

    assert_refused("no_room", arrive)
    assert arrive(at=now + DAY).user.email == "maria@example.com"


def test_people_who_are_known_need_no_room(
    arrive: Arrive, maria: Membership, settings: Settings
) -> None:
    settings.SSO_NEW_PEOPLE_PER_DAY = 0

    assert arrive() == maria


@pytest.mark.parametrize(
    ("named", "role"),
    [
        (["Engineers"], Role.ENGINEERS),
        (["5"], Role.ENGINEERS),
        (["staff", "Users", "Engineers"], Role.ENGINEERS),
        (["Administrators"], Role.USERS),
        (["Administrators", "Engineers"], Role.ENGINEERS),
        (["Kings"], Role.USERS),
        ([], Role.USERS),
    ],
)
def test_provider_names_the_role_but_no_administrators(
    arrive: Arrive, named: list[str], role: Role
) -> None:
    assert arrive(attributes={"role": named}).held_role is role


def test_provider_names_administrators_where_that_was_chosen(
    arrive: Arrive, trusted: Connection
) -> None:
    Connection.objects.update(may_make_administrators=True)

    assert arrive(attributes={"role": ["Administrators"]}).held_role is Role.ADMINISTRATORS


def test_role_is_not_read_where_no_attribute_was_chosen(
    arrive: Arrive, trusted: Connection
) -> None:
    Connection.objects.update(role_attribute="")

    assert arrive(attributes={"": ["Engineers"], "role": ["Engineers"]}).held_role is Role.USERS


def test_name_that_is_no_line_of_text_is_left_out(arrive: Arrive) -> None:
    assert arrive(attributes={"displayName": ["Maria\u202egnirts"]}).user.name == ""


@pytest.mark.parametrize(
    "emails", [[], ["not an address"], ["mária@example.com"], ["a@example.com", "b@example.com"]]
)
def test_newcomer_without_one_clear_address_is_refused(arrive: Arrive, emails: list[str]) -> None:
    assert_refused("no_email", lambda: arrive(email=None, attributes={"mail": emails}))


def test_name_id_is_the_address_where_its_format_says_so(
    arrive: Arrive, trusted: Connection
) -> None:
    Connection.objects.update(email_attribute="")
    trusted.refresh_from_db()

    newcomer = arrive(name_id="Maria@Example.com", name_id_format=EMAIL_FORMAT, email=None)

    assert newcomer.user.email == "maria@example.com"


def test_name_id_of_another_format_is_no_address(arrive: Arrive, trusted: Connection) -> None:
    Connection.objects.update(email_attribute="")
    trusted.refresh_from_db()

    assert_refused("no_email", lambda: arrive(name_id="maria@example.com"))


# --- Invited people ----------------------------------------------------------------------------


@pytest.fixture
def invited(administrator: Membership, now: datetime) -> Invitation:
    return invitations.invite(
        account=administrator.account,
        email="maria@example.com",
        role=Role.ENGINEERS,
        by=Actor.member(administrator),
        at=now,
    )


def test_invited_person_comes_with_the_role_of_the_invitation(
    arrive: Arrive, trusted: Connection, invited: Invitation, now: datetime
) -> None:
    Connection.objects.update(takes_new_people=False)

    assert arrive().held_role is Role.ENGINEERS
    invited.refresh_from_db()
    assert invited.accepted_at == now


def test_late_invitation_opens_nothing(
    arrive: Arrive, trusted: Connection, invited: Invitation, now: datetime
) -> None:
    Connection.objects.update(takes_new_people=False)

    assert_refused("no_new_people", lambda: arrive(at=now + 2 * DAY))


def test_invitation_to_another_account_opens_nothing_here(
    arrive: Arrive, trusted: Connection, stranger: Membership, now: datetime
) -> None:
    Connection.objects.update(takes_new_people=False)
    invitations.invite(
        account=stranger.account,
        email="maria@example.com",
        role=Role.ENGINEERS,
        by=Actor.member(stranger),
        at=now,
    )

    assert_refused("no_new_people", arrive)


def test_removed_member_who_was_invited_again_has_to_accept_by_the_mail(
    arrive: Arrive, maria: Membership, administrator: Membership, now: datetime
) -> None:
    """They have a password perhaps, and other accounts: a claim is not enough."""
    by = Actor.member(administrator)
    members.remove_member(membership=maria, by=by, at=now)
    invitations.invite(
        account=maria.account, email=maria.user.email, role=Role.USERS, by=by, at=now
    )

    assert_refused("removed", arrive)
