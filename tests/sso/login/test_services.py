"""Login with an assertion: linking, refusals and just-in-time provisioning."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from allauth.account.models import EmailAddress
from allauth.mfa.totp.internal.auth import TOTP, generate_totp_secret
from django.contrib.auth import authenticate
from django.test import Client
from django.urls import reverse
from pytest_django import Settings

from accounts.account import services as account_services
from accounts.authorization.actor import Actor, EntryPoint
from accounts.invitations import services as invitations
from accounts.members import services as members
from accounts.members import suspension
from accounts.models import Account, AuditEvent, Invitation, Membership, User
from accounts.roles import Role
from accounts.sign_in import registration
from accounts.users import services as user_services
from sso.login import replay_protection
from sso.login import services as login
from sso.models import Connection, Domain, Subject, UsedAssertion
from sso.saml.errors import Refused
from sso.saml.responses import verify_response
from tests.factories import (
    PASSWORD,
    ConnectionFactory,
    DomainFactory,
    MembershipFactory,
    SubjectFactory,
    UserFactory,
)
from tests.idp.keys import SigningKey
from tests.sso.saml_responses import (
    EMAIL_FORMAT,
    make_assertion,
    response_xml,
    sign_and_encode,
)

pytestmark = pytest.mark.django_db

BY = Actor(through=EntryPoint.PORTAL, address="192.0.2.7")
OPERATOR = Actor.operator(through=EntryPoint.COMMAND)
DAY = timedelta(days=1)
LogIn = Callable[..., Membership]


@pytest.fixture
def log_in(trusted: Connection, now: datetime) -> LogIn:
    """`log_in(**facts)`: log in with an assertion of these facts, with a new ID each time."""
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
    """The login is refused, and the account's audit log has the reason."""
    with pytest.raises(Refused) as refusal:
        act()
    assert refusal.value.code == code
    event = AuditEvent.objects.filter(kind="sso.refused").newest_first().first()
    assert event is not None
    assert event.details["code"] == code


# --- Members -----------------------------------------------------------------------------------


def test_member_is_linked_at_the_first_login(
    log_in: LogIn, maria: Membership, now: datetime
) -> None:
    assert log_in(name_id="maria-7f3a") == maria

    subject = Subject.objects.get(membership=maria)
    assert (subject.name_id, subject.linked_at) == ("maria-7f3a", now)


def test_member_keeps_their_role_whatever_the_provider_says(
    log_in: LogIn, maria: Membership
) -> None:
    log_in(attributes={"role": ["Users"]})

    maria.refresh_from_db()
    assert maria.held_role is Role.ENGINEERS


def test_login_by_sso_is_recorded(log_in: LogIn, maria: Membership, now: datetime) -> None:
    log_in()

    maria.refresh_from_db()
    assert maria.sso_at == now


def test_login_by_sso_resumes_suspended_tokens(
    log_in: LogIn, maria: Membership, now: datetime
) -> None:
    log_in()
    maria.refresh_from_db()
    assert suspension.suspend_tokens(membership=maria, by=OPERATOR, at=now + DAY)

    log_in(at=now + 2 * DAY)

    maria.refresh_from_db()
    assert not maria.has_suspended_tokens


def test_linked_member_logs_in_by_name_id_whatever_the_address(
    log_in: LogIn, maria: Membership
) -> None:
    log_in(name_id="maria-7f3a")

    assert log_in(name_id="maria-7f3a", email="someone@elsewhere.example") == maria


def test_linked_member_logs_in_without_an_address(log_in: LogIn, maria: Membership) -> None:
    log_in()

    assert log_in(email=None) == maria


def test_linked_member_comes_in_though_the_domain_was_withdrawn(
    log_in: LogIn, maria: Membership
) -> None:
    log_in()
    Domain.objects.all().delete()

    assert log_in() == maria


def test_other_name_with_the_address_of_a_linked_member_is_refused(
    log_in: LogIn, maria: Membership
) -> None:
    log_in(name_id="maria-7f3a")

    assert_refused("other_name", lambda: log_in(name_id="mallory-01"))


def test_member_of_another_domain_is_refused(log_in: LogIn, trusted: Connection) -> None:
    MembershipFactory.create(account=trusted.account, user__email="paul@elsewhere.example")

    assert_refused("domain", lambda: log_in(email="paul@elsewhere.example"))


@pytest.mark.parametrize("email", ["maria@example.com.evil.example", "maria@sub.example.com"])
def test_domain_is_the_whole_domain(log_in: LogIn, email: str) -> None:
    assert_refused("domain", lambda: log_in(email=email))


def test_domain_that_waits_for_the_operator_lets_nobody_in(
    log_in: LogIn, maria: Membership
) -> None:
    Domain.objects.update(approved_at=None, approved_by=None)

    assert_refused("domain", log_in)


def test_domain_of_another_account_is_refused(log_in: LogIn, maria: Membership) -> None:
    Domain.objects.all().delete()
    DomainFactory.create(name="example.com")

    assert_refused("domain", log_in)


# --- Refusals -----------------------------------------------------------------------------


def test_removed_member_stays_out(
    log_in: LogIn, maria: Membership, administrator: Membership, now: datetime
) -> None:
    members.remove_member(membership=maria, by=Actor.member(administrator), at=now)

    assert_refused("removed", log_in)


def test_removed_member_stays_out_even_by_a_name_that_was_linked(
    log_in: LogIn, maria: Membership, administrator: Membership, now: datetime
) -> None:
    log_in()
    members.remove_member(membership=maria, by=Actor.member(administrator), at=now)

    assert_refused("removed", log_in)


def test_removed_member_who_was_added_again_comes_in(
    log_in: LogIn, maria: Membership, administrator: Membership, now: datetime
) -> None:
    log_in()
    by = Actor.member(administrator)
    members.remove_member(membership=maria, by=by, at=now)
    members.add_member(account=maria.account, user=maria.user, role=Role.USERS, by=by, at=now + DAY)

    assert log_in(name_id="another-name", at=now + DAY) == maria


def test_operator_is_refused(log_in: LogIn, maria: Membership) -> None:
    User.objects.filter(pk=maria.user_id).update(is_staff=True)

    assert_refused("operator", log_in)
    assert not Subject.objects.exists()


def test_linked_member_who_became_an_operator_is_refused(log_in: LogIn, maria: Membership) -> None:
    log_in()
    User.objects.filter(pk=maria.user_id).update(is_staff=True)

    assert_refused("operator", log_in)


def test_member_who_was_switched_off_stays_out(
    log_in: LogIn, maria: Membership, now: datetime
) -> None:
    log_in()
    user_services.deactivate_user(user=maria.user, by=OPERATOR, at=now)

    assert_refused("inactive", log_in)


@pytest.mark.parametrize("is_confirmed", [True, False])
def test_user_of_another_account_stays_out_whatever_is_claimed(
    log_in: LogIn, is_confirmed: bool
) -> None:
    other = MembershipFactory.create(user__email="maria@example.com")
    MembershipFactory.create(account=other.account)
    EmailAddress.objects.filter(user=other.user).update(verified=is_confirmed)

    assert_refused("other_account", log_in)
    assert not Membership.objects.filter(user=other.user).exclude(pk=other.pk).exists()


def test_user_without_any_account_is_refused(log_in: LogIn) -> None:
    UserFactory.create(email="maria@example.com")

    assert_refused("other_account", log_in)


def test_name_that_another_accounts_provider_has_linked_is_nobody_here(
    log_in: LogIn, now: datetime
) -> None:
    SubjectFactory.create(name_id="maria-7f3a")

    newcomer = log_in(name_id="maria-7f3a")

    assert newcomer.user.email == "maria@example.com"
    assert Subject.objects.filter(name_id="maria-7f3a").count() == 2


def test_nobody_comes_in_while_it_is_switched_off(
    log_in: LogIn, trusted: Connection, maria: Membership
) -> None:
    Connection.objects.update(is_on=False)

    assert_refused("switched_off", log_in)


def test_nobody_comes_into_a_closed_account(
    log_in: LogIn, maria: Membership, now: datetime
) -> None:
    account_services.close_account(account=maria.account, by=OPERATOR, at=now)

    assert_refused("switched_off", log_in)


@pytest.mark.both
def test_message_has_to_be_signed_where_it_was_in_the_test(
    log_in: LogIn, maria: Membership, trusted: Connection
) -> None:
    trusted.signs_messages = True

    assert_refused("unsigned_response", lambda: log_in(message_is_signed=False))
    assert log_in(message_is_signed=True) == maria


def test_signed_assertion_is_enough_where_messages_were_not_signed_in_the_test(
    log_in: LogIn, maria: Membership
) -> None:
    assert log_in(message_is_signed=False) == maria


@pytest.fixture
def elsewhere(maria: Membership) -> Connection:
    """The connection of another account of hers, with the domain of her new address."""
    connection = ConnectionFactory.create()
    DomainFactory.create(connection=connection, name="globex.example")
    MembershipFactory.create(account=connection.account, user=maria.user)
    return connection


@pytest.mark.parametrize("is_forced", [True, False])
def test_provider_is_no_way_around_another_one_that_is_forced(
    log_in: LogIn, maria: Membership, elsewhere: Connection, is_forced: bool
) -> None:
    """She is linked here already. A session covers all accounts of the user."""
    log_in()
    User.objects.filter(pk=maria.user_id).update(email="maria@globex.example")
    Connection.objects.filter(pk=elsewhere.pk).update(is_forced=is_forced)

    if is_forced:
        assert_refused("other_provider", log_in)
    else:
        assert log_in() == maria


@pytest.mark.parametrize("is_forced_here", [True, False])
def test_of_two_accounts_that_force_a_person_the_one_with_the_domain_signs_in(
    log_in: LogIn, trusted: Connection, maria: Membership, elsewhere: Connection,
    is_forced_here: bool,
) -> None:  # fmt: skip
    """The other one has linked her: it alone would be a reason to refuse her here."""
    theirs = Membership.objects.get(account=elsewhere.account, user=maria.user)
    SubjectFactory.create(connection=elsewhere, membership=theirs)
    Connection.objects.filter(pk=elsewhere.pk).update(is_forced=True)
    Connection.objects.filter(pk=trusted.pk).update(is_forced=is_forced_here)

    if is_forced_here:
        assert log_in() == maria
    else:
        assert_refused("other_provider", log_in)


def test_each_of_two_accounts_that_have_linked_and_force_a_person_signs_in(
    log_in: LogIn, trusted: Connection, maria: Membership, elsewhere: Connection
) -> None:
    log_in()
    theirs = Membership.objects.get(account=elsewhere.account, user=maria.user)
    SubjectFactory.create(connection=elsewhere, membership=theirs)
    Connection.objects.update(is_forced=True)
    User.objects.filter(pk=maria.user_id).update(email="maria@third.example")

    assert log_in() == maria


def test_provider_that_is_forced_elsewhere_does_not_concern_who_is_no_member_there(
    log_in: LogIn, maria: Membership, elsewhere: Connection, now: datetime
) -> None:
    log_in()
    User.objects.filter(pk=maria.user_id).update(email="maria@globex.example")
    Connection.objects.filter(pk=elsewhere.pk).update(is_forced=True)
    Membership.objects.filter(account=elsewhere.account).update(removed_at=now)

    assert log_in() == maria


def test_assertion_is_accepted_once(log_in: LogIn, maria: Membership) -> None:
    log_in(assertion_id="_once")

    assert_refused("replayed", lambda: log_in(assertion_id="_once"))


def test_refused_assertion_is_consumed_too(log_in: LogIn, trusted: Connection) -> None:
    Connection.objects.update(is_on=False)
    assert_refused("switched_off", lambda: log_in(assertion_id="_once"))
    Connection.objects.update(is_on=True)

    assert_refused("replayed", lambda: log_in(assertion_id="_once"))


def test_assertions_are_forgotten_when_nobody_would_believe_them(
    log_in: LogIn, now: datetime
) -> None:
    log_in(ends_at=now + timedelta(minutes=5))

    assert replay_protection.delete_expired_assertions(at=now + timedelta(minutes=4)) == 0
    assert replay_protection.delete_expired_assertions(at=now + timedelta(minutes=5)) == 1
    assert not UsedAssertion.objects.exists()


def test_assertion_is_remembered_for_as_long_as_it_is_believed(
    trusted: Connection, signing: SigningKey, now: datetime
) -> None:
    """Also in the minutes that clocks may differ: a copy could be used once more in them."""
    response = sign_and_encode(response_xml(trusted, at=now), signing)
    forgotten_at = verify_response(trusted, response, at=now).ends_at

    verify_response(trusted, response, at=forgotten_at - timedelta(microseconds=1))
    with pytest.raises(Refused) as refusal:
        verify_response(trusted, response, at=forgotten_at)
    assert refusal.value.code == "too_late"


# --- New users --------------------------------------------------------------------------------


def test_new_person_becomes_a_member_with_the_default_role(log_in: LogIn) -> None:
    newcomer = log_in(attributes={"displayName": ["Maria Example"]})

    assert (newcomer.user.email, newcomer.user.name) == ("maria@example.com", "Maria Example")
    assert newcomer.held_role is Role.USERS
    assert not newcomer.user.has_usable_password()


def test_provisioning_is_audited(log_in: LogIn) -> None:
    log_in()

    kinds = set(AuditEvent.objects.values_list("kind", flat=True))
    assert {"user.created", "member.added", "sso.linked"} <= kinds


def test_new_person_stays_out_where_the_account_takes_none(
    log_in: LogIn, trusted: Connection
) -> None:
    Connection.objects.update(takes_new_people=False)

    assert_refused("no_new_people", log_in)
    assert not User.objects.filter(email="maria@example.com").exists()


def test_new_people_come_as_long_as_the_account_has_room(
    log_in: LogIn, settings: Settings, now: datetime
) -> None:
    settings.SSO_NEW_PEOPLE_PER_DAY = 2
    MembershipFactory.create(created_at=now, sso_at=now)  # in another account
    for name in ("anna", "otto"):
        log_in(name_id=name, email=f"{name}@example.com")

    assert_refused("no_room", log_in)
    assert log_in(at=now + DAY).user.email == "maria@example.com"


def test_people_who_are_known_need_no_room(
    log_in: LogIn, maria: Membership, settings: Settings
) -> None:
    settings.SSO_NEW_PEOPLE_PER_DAY = 0

    assert log_in() == maria


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
    log_in: LogIn, named: list[str], role: Role
) -> None:
    assert log_in(attributes={"role": named}).held_role is role


def test_provider_names_administrators_where_that_was_chosen(
    log_in: LogIn, trusted: Connection
) -> None:
    Connection.objects.update(may_make_administrators=True)

    assert log_in(attributes={"role": ["Administrators"]}).held_role is Role.ADMINISTRATORS


def test_role_is_not_read_where_no_attribute_was_chosen(log_in: LogIn, trusted: Connection) -> None:
    Connection.objects.update(role_attribute="")

    assert log_in(attributes={"": ["Engineers"], "role": ["Engineers"]}).held_role is Role.USERS


def test_name_that_is_no_line_of_text_is_left_out(log_in: LogIn) -> None:
    assert log_in(attributes={"displayName": ["Maria\u202egnirts"]}).user.name == ""


@pytest.mark.parametrize("name", ["maria@example.com", "Sign in at https://evil.example"])
def test_name_that_is_an_address_is_left_out(log_in: LogIn, name: str) -> None:
    assert log_in(attributes={"displayName": [name]}).user.name == ""


@pytest.mark.parametrize(
    "emails", [[], ["not an address"], ["mária@example.com"], ["a@example.com", "b@example.com"]]
)
def test_newcomer_without_one_clear_address_is_refused(log_in: LogIn, emails: list[str]) -> None:
    assert_refused("no_email", lambda: log_in(email=None, attributes={"mail": emails}))


def test_name_id_is_the_address_where_its_format_says_so(
    log_in: LogIn, trusted: Connection
) -> None:
    Connection.objects.update(email_attribute="")
    trusted.refresh_from_db()

    newcomer = log_in(name_id="Maria@Example.com", name_id_format=EMAIL_FORMAT, email=None)

    assert newcomer.user.email == "maria@example.com"


def test_name_id_of_another_format_is_no_address(log_in: LogIn, trusted: Connection) -> None:
    Connection.objects.update(email_attribute="")
    trusted.refresh_from_db()

    assert_refused("no_email", lambda: log_in(name_id="maria@example.com"))


# --- Invited users ----------------------------------------------------------------------------


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
    log_in: LogIn, trusted: Connection, invited: Invitation, now: datetime
) -> None:
    Connection.objects.update(takes_new_people=False)

    assert log_in().held_role is Role.ENGINEERS
    invited.refresh_from_db()
    assert invited.accepted_at == now


def test_late_invitation_opens_nothing(
    log_in: LogIn, trusted: Connection, invited: Invitation, now: datetime
) -> None:
    Connection.objects.update(takes_new_people=False)

    assert_refused("no_new_people", lambda: log_in(at=now + 2 * DAY))


def test_invitation_to_another_account_opens_nothing_here(
    log_in: LogIn, trusted: Connection, stranger: Membership, now: datetime
) -> None:
    Connection.objects.update(takes_new_people=False)
    invitations.invite(
        account=stranger.account,
        email="maria@example.com",
        role=Role.ENGINEERS,
        by=Actor.member(stranger),
        at=now,
    )

    assert_refused("no_new_people", log_in)


def test_invitation_to_another_account_stays_open(
    log_in: LogIn, invited: Invitation, stranger: Membership, now: datetime
) -> None:
    there = invitations.invite(
        account=stranger.account,
        email="maria@example.com",
        role=Role.ENGINEERS,
        by=Actor.member(stranger),
        at=now,
    )

    log_in()

    for invitation in (invited, there):
        invitation.refresh_from_db()
    assert invited.accepted_at is not None
    assert there.is_open


def test_removed_member_who_was_invited_again_has_to_accept_by_the_mail(
    log_in: LogIn, maria: Membership, administrator: Membership, now: datetime
) -> None:
    """They may have a password and other accounts: the address in an assertion is not enough."""
    by = Actor.member(administrator)
    members.remove_member(membership=maria, by=by, at=now)
    invitations.invite(
        account=maria.account, email=maria.user.email, role=Role.USERS, by=by, at=now
    )

    assert_refused("removed", log_in)


# --- Somebody signed up with the address -------------------------------------------------------


@pytest.fixture
def sign_up(now: datetime) -> User:
    """Somebody signed up with Maria's address, and did not confirm it."""
    return registration.sign_up(
        email="maria@example.com",
        password=PASSWORD,
        account_name="Not the company",
        name="Not Maria",
        by=BY,
        at=now,
    )


def test_unconfirmed_sign_up_keeps_nobody_out(log_in: LogIn, sign_up: User) -> None:
    member = log_in(attributes={"displayName": ["Maria Smith"]})

    assert (member.user, member.user.name) == (sign_up, "Maria Smith")
    assert EmailAddress.objects.get(user=sign_up).verified


def test_stranger_who_signed_up_has_nothing_of_it(
    client: Client, log_in: LogIn, sign_up: User
) -> None:
    log_in()

    sign_up.refresh_from_db()
    assert not sign_up.has_usable_password()
    assert authenticate(None, email=sign_up.email, password=PASSWORD) is None
    assert Membership.objects.get(user=sign_up).account.name != "Not the company"
    assert Account.objects.get(name="Not the company").closed_at


def test_browser_that_signed_up_is_not_let_in_by_the_login_of_another(
    client: Client, trusted: Connection, log_in: LogIn
) -> None:
    form = {"account_name": "x", "email": "maria@example.com", "password1": PASSWORD}
    client.post(reverse("account_signup"), form)
    log_in()

    for page in ("account_email_verification_sent", "account_login", "mfa_authenticate", "home"):
        client.get(reverse(page))
    client.post(reverse("account_login"), {"login": "maria@example.com", "password": PASSWORD})

    assert "_auth_user_id" not in client.session


def test_discarded_sign_up_is_on_the_record(log_in: LogIn, sign_up: User) -> None:
    log_in()

    event = AuditEvent.objects.get(kind="user.sign_up_discarded")
    assert (event.subject_id, event.details) == (sign_up.pk, {"code": "vouched_for"})


def test_invited_person_comes_in_though_somebody_signed_up(
    log_in: LogIn, trusted: Connection, sign_up: User, administrator: Membership, now: datetime
) -> None:
    invitations.invite(
        account=trusted.account,
        email="maria@example.com",
        role=Role.ENGINEERS,
        by=Actor.member(administrator),
        at=now,
    )

    assert log_in().held_role is Role.ENGINEERS


def test_sign_up_that_was_confirmed_counts(log_in: LogIn, sign_up: User) -> None:
    EmailAddress.objects.filter(user=sign_up).update(verified=True)

    assert_refused("other_account", log_in)


def test_sign_up_with_a_second_factor_counts(log_in: LogIn, sign_up: User) -> None:
    TOTP.activate(sign_up, generate_totp_secret())

    assert_refused("other_account", log_in)


def test_refused_login_discards_nothing(log_in: LogIn, trusted: Connection, sign_up: User) -> None:
    Connection.objects.update(takes_new_people=False)

    assert_refused("no_new_people", log_in)
    sign_up.refresh_from_db()
    assert sign_up.has_usable_password()
