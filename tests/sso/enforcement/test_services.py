"""Forced single sign-on: which entry points it closes, and who may bypass it."""

from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest
from allauth.account.models import EmailAddress
from allauth.mfa.totp.internal.auth import TOTP, generate_totp_secret
from django.core.exceptions import ValidationError
from django.test import Client
from django.urls import reverse
from rest_framework.test import APIClient

from accounts.authorization import sso_hooks
from accounts.authorization.actor import Actor, EntryPoint
from accounts.invitations import services as invitations
from accounts.jwt import token_families
from accounts.jwt.tokens import Invalid
from accounts.models import AuditEvent, Membership, User
from accounts.roles import Role
from accounts.sign_in import jwt_login
from accounts.sign_in import services as sign_in_services
from notifications.models import Mail
from sso.models import Connection, Domain
from tests.factories import (
    PASSWORD,
    ConnectionFactory,
    DomainFactory,
    MembershipFactory,
    SubjectFactory,
)
from tests.idp.keys import SigningKey
from tests.outbox import mails_to, path_in
from tests.sso import login_steps

pytestmark = pytest.mark.django_db

BY = Actor(through=EntryPoint.PORTAL, address="192.0.2.7")
SIGN_IN = "/sign-in/"


@pytest.fixture
def forced(trusted: Connection) -> Connection:
    Connection.objects.update(is_forced=True)
    trusted.refresh_from_db()
    return trusted


@pytest.fixture
def maria(trusted: Connection) -> Membership:
    return MembershipFactory.create(
        account=trusted.account, user__email="maria@example.com", role=Role.ENGINEERS
    )


@pytest.fixture
def second_administrator(trusted: Connection) -> Membership:
    """A second Administrator of the account, with an address of the domain."""
    return MembershipFactory.create(account=trusted.account, user__email="boss@example.com")


def sign_in_by_password(client: Client, member: Membership, password: str = PASSWORD) -> Any:
    return client.post(SIGN_IN, {"login": member.user.email, "password": password})


def is_in(client: Client) -> bool:
    return "_auth_user_id" in client.session


# --- Who is forced -----------------------------------------------------------------------------


def test_member_with_an_address_of_the_domain_is_forced(
    forced: Connection, maria: Membership
) -> None:
    assert sso_hooks.refuses(maria.user)


def test_nobody_is_forced_unless_the_account_forces_sso(
    trusted: Connection, maria: Membership
) -> None:
    assert not sso_hooks.refuses(maria.user)


def test_member_with_another_address_is_not_forced(forced: Connection) -> None:
    paul = MembershipFactory.create(account=forced.account, role=Role.USERS)
    paul.user.email = "paul@elsewhere.example"
    paul.user.save()

    assert not sso_hooks.refuses(paul.user)


def test_linked_member_cannot_bypass_sso_by_another_address(
    forced: Connection, maria: Membership
) -> None:
    SubjectFactory.create(connection=forced, membership=maria)
    User.objects.filter(pk=maria.user_id).update(email="maria@elsewhere.example")
    maria.user.refresh_from_db()

    assert sso_hooks.refuses(maria.user)


def test_user_of_other_accounts_with_such_an_address_is_not_forced(forced: Connection) -> None:
    other = MembershipFactory.create(user__email="other@example.com")

    assert not sso_hooks.refuses(other.user)


def test_member_of_another_account_too_is_forced(forced: Connection, maria: Membership) -> None:
    MembershipFactory.create(user=maria.user)

    assert sso_hooks.refuses(maria.user)


def test_removed_member_is_not_forced(forced: Connection, maria: Membership, now: datetime) -> None:
    Membership.objects.filter(pk=maria.pk).update(removed_at=now)

    assert not sso_hooks.refuses(maria.user)


def test_domain_that_was_taken_back_forces_nobody(forced: Connection, maria: Membership) -> None:
    Domain.objects.update(approved_at=None, approved_by=None)

    assert not sso_hooks.refuses(maria.user)


def test_operator_whom_no_provider_lets_in_is_not_forced(
    forced: Connection, maria: Membership
) -> None:
    maria.user.is_staff = True
    maria.user.save()

    assert not sso_hooks.refuses(maria.user)


# --- The bypass ------------------------------------------------------------------------------


def test_administrator_with_a_second_factor_may_bypass_sso(
    forced: Connection, administrator: Membership, second_administrator: Membership
) -> None:
    TOTP.activate(second_administrator.user, generate_totp_secret())

    assert not sso_hooks.refuses(second_administrator.user)


def test_administrator_without_a_second_factor_may_not_bypass_sso(
    forced: Connection, administrator: Membership, second_administrator: Membership
) -> None:
    assert sso_hooks.refuses(second_administrator.user)


def test_second_factor_allows_no_bypass_to_other_roles(
    forced: Connection, maria: Membership
) -> None:
    TOTP.activate(maria.user, generate_totp_secret())

    assert sso_hooks.refuses(maria.user)


def test_last_administrator_may_bypass_sso(
    forced: Connection, administrator: Membership, second_administrator: Membership, now: datetime
) -> None:
    Membership.objects.filter(pk=administrator.pk).update(removed_at=now)

    assert not sso_hooks.refuses(second_administrator.user)


def test_bypass_in_one_account_is_none_in_another(
    forced: Connection, administrator: Membership, second_administrator: Membership, now: datetime
) -> None:
    """An Administrator here is forced by the account in which they are none."""
    TOTP.activate(second_administrator.user, generate_totp_secret())
    Membership.objects.filter(pk=second_administrator.pk).update(role=Role.USERS)
    MembershipFactory.create(user=second_administrator.user)

    assert sso_hooks.refuses(second_administrator.user)


def test_all_accounts_that_force_have_to_allow_the_bypass(
    forced: Connection, administrator: Membership, second_administrator: Membership
) -> None:
    TOTP.activate(second_administrator.user, generate_totp_secret())
    theirs = MembershipFactory.create(user=second_administrator.user, role=Role.USERS)
    other = ConnectionFactory.create(account=theirs.account, is_forced=True)
    assert not sso_hooks.refuses(second_administrator.user)

    SubjectFactory.create(connection=other, membership=theirs)

    assert sso_hooks.refuses(second_administrator.user)


def test_bypass_is_audited(
    client: Client,
    forced: Connection,
    administrator: Membership,
    second_administrator: Membership,
    now: datetime,
) -> None:
    Membership.objects.filter(pk=administrator.pk).update(removed_at=now)

    sign_in_by_password(client, second_administrator)

    assert is_in(client)
    event = AuditEvent.objects.get(kind="sso.bypassed")
    assert (event.account_id, event.user_id) == (forced.account_id, second_administrator.user_id)


def test_login_by_sso_is_no_bypass(
    client: Client, forced: Connection, signing: SigningKey, maria: Membership
) -> None:
    login_steps.sign_in(client, forced, signing)

    assert is_in(client)
    assert not AuditEvent.objects.filter(kind="sso.bypassed").exists()


def test_account_that_forces_by_a_link_is_told_of_a_login_through_another_provider(
    client: Client, forced: Connection, signing: SigningKey, maria: Membership
) -> None:
    theirs = MembershipFactory.create(user=maria.user)
    other = ConnectionFactory.create(account=theirs.account, is_forced=True)
    SubjectFactory.create(connection=other, membership=theirs)

    login_steps.sign_in(client, forced, signing)

    assert is_in(client)
    assert AuditEvent.objects.get(kind="sso.bypassed").account_id == theirs.account_id


# --- Entry points ---------------------------------------------------------------------------------


def test_password_opens_the_portal_where_nothing_is_forced(
    client: Client, trusted: Connection, maria: Membership
) -> None:
    sign_in_by_password(client, maria)

    assert is_in(client)


def test_password_does_not_open_the_portal(
    client: Client, forced: Connection, maria: Membership
) -> None:
    sign_in_by_password(client, maria)

    assert not is_in(client)
    assert AuditEvent.objects.get(kind="sign_in.refused").details["code"] == "sso_forced"


def test_every_address_of_the_domain_gets_the_same_error(
    client: Client,
    forced: Connection,
    maria: Membership,
    administrator: Membership,
    second_administrator: Membership,
) -> None:
    """With the right password or not, known or not, an Administrator who may bypass SSO or not."""
    TOTP.activate(second_administrator.user, generate_totp_secret())
    nobody = {"login": "nobody@example.com", "password": PASSWORD}

    answers = [
        sign_in_by_password(client, maria),
        sign_in_by_password(client, maria, "wrong"),
        sign_in_by_password(client, second_administrator, "wrong"),
        client.post(SIGN_IN, nobody),
    ]

    errors = [answer.context["form"].errors.as_json() for answer in answers]
    assert len(set(errors)) == 1
    assert "sso_forced" in errors[0]


def test_wrong_password_of_another_domain_is_a_wrong_password(
    client: Client, forced: Connection
) -> None:
    answer = client.post(SIGN_IN, {"login": "a@elsewhere.example", "password": "wrong"})

    assert "sso_forced" not in answer.context["form"].errors.as_json()


def test_linked_member_with_another_address_gets_a_page(
    client: Client, forced: Connection, maria: Membership
) -> None:
    SubjectFactory.create(connection=forced, membership=maria)
    User.objects.filter(pk=maria.user_id).update(email="maria@elsewhere.example")
    maria.user.refresh_from_db()
    EmailAddress.objects.filter(user=maria.user).update(email="maria@elsewhere.example")

    answer = sign_in_by_password(client, maria)

    assert answer.status_code == 403
    assert not is_in(client)


def ask_for_password(member: Membership, now: datetime) -> int:
    sign_in_services.request_password_reset(email=member.user.email, by=BY, at=now)
    return Mail.objects.filter(user=member.user).count()


def test_link_for_a_new_password_is_sent_where_nothing_is_forced(
    trusted: Connection, maria: Membership, now: datetime
) -> None:
    assert ask_for_password(maria, now) == 1


def test_link_for_a_new_password_is_not_sent(
    forced: Connection, maria: Membership, now: datetime
) -> None:
    assert ask_for_password(maria, now) == 0
    assert AuditEvent.objects.filter(kind="password.reset_requested").exists()


def test_page_for_a_forgotten_password_answers_the_same(
    client: Client, forced: Connection, maria: Membership
) -> None:
    path = reverse("account_reset_password")

    known = client.post(path, {"email": maria.user.email})
    stranger = client.post(path, {"email": "nobody@elsewhere.example"})

    assert (known.status_code, known["Location"]) == (stranger.status_code, stranger["Location"])


@pytest.mark.parametrize("is_forced", [True, False])
def test_invitation_to_another_account_asks_for_no_password_that_could_not_be_used(
    client: Client,
    trusted: Connection,
    signing: SigningKey,
    stranger: Membership,
    now: datetime,
    is_forced: bool,
) -> None:
    """Otto has signed in by SSO, and has no password."""
    login_steps.sign_in(client, trusted, signing, name_id="otto-11", email="otto@example.com")
    Connection.objects.update(is_forced=is_forced)
    invitations.invite(
        account=stranger.account,
        email="otto@example.com",
        role=Role.USERS,
        by=Actor.member(stranger),
        at=now,
    )
    client.logout()

    page = client.get(path_in(mails_to("otto@example.com")[-1])).content.decode()

    assert ("/sign-in/?next=" in page) is is_forced
    assert ('name="password1"' in page) is not is_forced


@pytest.fixture
def log_in(now: datetime) -> Callable[[Membership], Any]:
    """`log_in(member)`: a pair of short-lived tokens for their password."""

    def act(member: Membership) -> Any:
        return jwt_login.sign_in(
            email=member.user.email, password=PASSWORD, at=now, address="192.0.2.7"
        )

    return act


def test_password_gives_no_short_lived_tokens(
    forced: Connection, maria: Membership, log_in: Callable[[Membership], Any]
) -> None:
    with pytest.raises(ValidationError, match="No active account found"):
        log_in(maria)


def test_bypass_gives_no_short_lived_tokens(
    forced: Connection,
    administrator: Membership,
    second_administrator: Membership,
    log_in: Callable[[Membership], Any],
    now: datetime,
) -> None:
    Membership.objects.filter(pk=administrator.pk).update(removed_at=now)

    with pytest.raises(ValidationError, match="No active account found"):
        log_in(second_administrator)


def test_short_lived_tokens_end_when_it_is_forced(
    trusted: Connection, maria: Membership, log_in: Callable[[Membership], Any], now: datetime
) -> None:
    pair = log_in(maria)
    Connection.objects.update(is_forced=True)

    with pytest.raises(Invalid):
        token_families.refresh(presented=pair.refresh, at=now, address=None)


def test_switching_accounts_is_no_way_around(
    trusted: Connection, maria: Membership, log_in: Callable[[Membership], Any], now: datetime
) -> None:
    """The access token of before is good for its hour, and gets no other one."""
    pair = log_in(maria)
    Connection.objects.update(is_forced=True)
    actor = token_families.authenticate_access_token(pair.access, at=now, address=None)

    with pytest.raises(token_families.SSOForced):
        token_families.switch(account_id=maria.account_id, by=actor, at=now)


def test_switching_to_an_account_that_forces_nobody_is_no_way_around(
    trusted: Connection, maria: Membership, log_in: Callable[[Membership], Any], now: datetime
) -> None:
    other = MembershipFactory.create(user=maria.user)
    pair = log_in(maria)
    Connection.objects.update(is_forced=True)
    actor = token_families.authenticate_access_token(pair.access, at=now, address=None)

    with pytest.raises(token_families.SSOForced):
        token_families.switch(account_id=other.account_id, by=actor, at=now)


def test_switching_accounts_goes_on_where_it_is_not(
    trusted: Connection, maria: Membership, log_in: Callable[[Membership], Any], now: datetime
) -> None:
    other = MembershipFactory.create(user=maria.user)
    pair = log_in(maria)
    actor = token_families.authenticate_access_token(pair.access, at=now, address=None)

    assert token_families.switch(account_id=other.account_id, by=actor, at=now).access


def test_sso_that_is_forced_just_after_the_password_was_checked_counts(
    trusted: Connection,
    maria: Membership,
    log_in: Callable[[Membership], Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    begin = jwt_login._begin

    def force_first(*facts: Any, **more: Any) -> Any:
        Connection.objects.update(is_forced=True)
        return begin(*facts, **more)

    monkeypatch.setattr(jwt_login, "_begin", force_first)

    with pytest.raises(ValidationError, match="No active account found"):
        log_in(maria)


def test_short_lived_tokens_go_on_where_it_is_not(
    trusted: Connection, maria: Membership, log_in: Callable[[Membership], Any], now: datetime
) -> None:
    pair = log_in(maria)

    assert token_families.refresh(presented=pair.refresh, at=now, address=None).access


# --- Another address -----------------------------------------------------------------------------

ELSEWHERE = "maria@elsewhere.example"


def change_by_link(member: Membership, email: str, *, at: datetime) -> None:
    """What the link in the mail does."""
    sign_in_services.change_email(
        user=User.objects.get(pk=member.user_id), email=email, by=Actor.person(member.user), at=at
    )


def request_change(member: Membership, email: str, *, at: datetime) -> None:
    sign_in_services.request_email_change(
        user=member.user, email=email, by=Actor.person(member.user), at=at
    )


def test_forced_member_cannot_ask_for_an_address_of_another_domain(
    forced: Connection, maria: Membership, now: datetime
) -> None:
    with pytest.raises(sign_in_services.AddressForced):
        request_change(maria, ELSEWHERE, at=now)

    assert not Mail.objects.exists()


def test_linked_member_cannot_either(forced: Connection, maria: Membership, now: datetime) -> None:
    """The link ends when the account changes its provider."""
    SubjectFactory.create(connection=forced, membership=maria)

    with pytest.raises(sign_in_services.AddressForced):
        request_change(maria, ELSEWHERE, at=now)


def test_administrator_who_may_bypass_sso_cannot_either(
    forced: Connection, second_administrator: Membership, now: datetime
) -> None:
    TOTP.activate(second_administrator.user, generate_totp_secret())

    with pytest.raises(sign_in_services.AddressForced):
        request_change(second_administrator, ELSEWHERE, at=now)


def test_link_of_before_sso_was_forced_changes_nothing(
    trusted: Connection, maria: Membership, now: datetime
) -> None:
    request_change(maria, ELSEWHERE, at=now)
    Connection.objects.update(is_forced=True)

    with pytest.raises(sign_in_services.AddressForced):
        change_by_link(maria, ELSEWHERE, at=now)

    maria.user.refresh_from_db()
    assert sso_hooks.refuses(maria.user)


def test_page_of_the_link_says_who_changes_the_address(
    client: Client, trusted: Connection, maria: Membership, now: datetime
) -> None:
    request_change(maria, ELSEWHERE, at=now)
    Connection.objects.update(is_forced=True)

    answer = client.post(path_in(mails_to(ELSEWHERE)[-1]))

    assert answer.status_code == 400
    assert "Ask an operator of the portal to change it." in answer.content.decode()


def test_api_refuses_it_by_field(
    trusted: Connection, maria: Membership, log_in: Callable[[Membership], Any]
) -> None:
    access = log_in(maria).access
    Connection.objects.update(is_forced=True)
    client = APIClient(headers={"Authorization": f"Bearer {access}"})

    answer = client.patch(f"/iam/users/{maria.user_id}", {"email": ELSEWHERE}, format="json")

    assert answer.status_code == 400
    assert "single sign-on" in str(answer.json()["errors"]["email"])


def test_address_in_the_same_domain_can_be_had(
    forced: Connection, maria: Membership, now: datetime
) -> None:
    request_change(maria, "maria.smith@example.com", at=now)
    change_by_link(maria, "maria.smith@example.com", at=now)

    maria.user.refresh_from_db()
    assert maria.user.email == "maria.smith@example.com"
    assert sso_hooks.refuses(maria.user)


def test_address_of_an_account_that_the_member_is_not_in_is_another_domain(
    forced: Connection, maria: Membership, now: datetime
) -> None:
    other = ConnectionFactory.create(is_forced=True)
    DomainFactory.create(connection=other, name="elsewhere.example")

    with pytest.raises(sign_in_services.AddressForced):
        request_change(maria, ELSEWHERE, at=now)


def test_member_whom_nobody_forces_has_any_address(
    trusted: Connection, maria: Membership, now: datetime
) -> None:
    request_change(maria, ELSEWHERE, at=now)
    change_by_link(maria, ELSEWHERE, at=now)

    maria.user.refresh_from_db()
    assert maria.user.email == ELSEWHERE


def test_operator_changes_the_address(forced: Connection, maria: Membership, now: datetime) -> None:
    operator = Actor.operator(through=EntryPoint.COMMAND)

    sign_in_services.change_email(user=maria.user, email=ELSEWHERE, by=operator, at=now)

    maria.user.refresh_from_db()
    assert maria.user.email == ELSEWHERE
