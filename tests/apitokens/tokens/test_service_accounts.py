"""Tokens of service accounts: who may issue and manage them, up to which role, and who is told."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any

import pytest
from django.conf import settings
from django.core.exceptions import PermissionDenied, ValidationError
from django.test import Client

from accounts.authorization.actor import Actor, EntryPoint
from accounts.members import services as members
from accounts.members import suspension
from accounts.members.contact_limits import MAILS
from accounts.models import Account, AuditEvent, Membership, ServiceAccount
from accounts.roles import Role
from accounts.service_accounts import services
from accounts.users import services as users
from apitokens.addresses.notifications import tell_of_refusal
from apitokens.expiry.scan import scan
from apitokens.keys import Key
from apitokens.models import APIToken
from apitokens.tokens import rotation
from apitokens.tokens import services as tokens
from apitokens.usage.notifications import notify_new_addresses
from apitokens.verification.refusals import Refused
from apitokens.verification.verify import verify
from notifications.models import Mail, Notice, Refusal
from notifications.preferences import unsubscribe
from tests.factories import AccountFactory, acting, issue, service_account
from tests.outbox import mail_to, mails_to

pytestmark = pytest.mark.django_db

OPERATOR = Actor.operator(through=EntryPoint.COMMAND)


@pytest.fixture
def deploys(account: Account, engineer: Membership, now: datetime) -> ServiceAccount:
    """A service account with the role Engineers that names the engineer."""
    return service_account(account, at=now, issuers=[engineer])


def suspend(member: Membership, now: datetime) -> None:
    assert suspension.suspend_tokens(membership=member, by=OPERATOR, at=now)


def reason(key: Key, now: datetime) -> str | None:
    try:
        verify(presented=key.spell(), at=now)
    except Refused as refused:
        return str(refused.code)
    return None


def test_named_member_issues_up_to_its_role(
    account: Account, user: Membership, engineer: Membership, now: datetime
) -> None:
    deploys = service_account(account, at=now, issuers=[user])

    token = issue(deploys.membership, by=Actor.member(user), role=Role.ENGINEERS, at=now).token

    assert token.issuer == deploys.membership
    with pytest.raises(ValidationError) as refused:
        issue(deploys.membership, by=Actor.member(user), role=Role.ADMINISTRATORS, at=now)
    assert refused.value.error_dict["role"][0].code == "role_too_high"
    with pytest.raises(PermissionDenied, match="for this service account"):
        issue(deploys.membership, by=Actor.member(engineer), at=now)


def test_administrator_issues_up_to_its_role_and_not_their_own(
    deploys: ServiceAccount, administrator: Membership, now: datetime
) -> None:
    by = Actor.member(administrator)

    issue(deploys.membership, by=by, role=Role.ENGINEERS, at=now)
    with pytest.raises(ValidationError):
        issue(deploys.membership, by=by, role=Role.ADMINISTRATORS, at=now)


def test_token_of_a_named_member_gives_away_no_more_than_its_own_role(
    deploys: ServiceAccount, engineer: Membership, now: datetime
) -> None:
    by = acting(engineer, Role.USERS, at=now, ends_at=now + timedelta(days=1))

    with pytest.raises(ValidationError) as refused:
        issue(deploys.membership, by=by, role=Role.ENGINEERS, at=now)
    assert set(refused.value.error_dict) == {"role", "expires_at"}


def test_stranger_issues_none(deploys: ServiceAccount, stranger: Membership, now: datetime) -> None:
    with pytest.raises(PermissionDenied):
        issue(deploys.membership, by=Actor.member(stranger), at=now)


def test_named_member_sees_and_manages_its_tokens_and_others_do_not(
    deploys: ServiceAccount,
    administrator: Membership,
    engineer: Membership,
    user: Membership,
    now: datetime,
) -> None:
    token = issue(deploys.membership, by=Actor.member(administrator), at=now).token
    own = issue(engineer, at=now).token

    assert set(APIToken.objects.visible_to(Actor.member(engineer))) == {token, own}
    assert not APIToken.objects.visible_to(Actor.member(user)).exists()
    with pytest.raises(PermissionDenied):
        rotation.rotate(token=token, by=Actor.member(user), at=now)
    rotation.rotate(token=token, by=Actor.member(engineer), at=now)
    assert tokens.delete(token=token, by=Actor.member(engineer), at=now)


@pytest.mark.parametrize("role", [Role.ENGINEERS, Role.ADMINISTRATORS])
def test_member_whose_own_tokens_are_suspended_learns_none_of_its_secrets(
    account: Account, user: Membership, role: Role, now: datetime
) -> None:
    Membership.objects.filter(pk=user.pk).update(role=role, sso_at=now)
    user.refresh_from_db()
    deploys = service_account(account, at=now, issuers=[user])
    token = issue(deploys.membership, by=Actor.member(user), at=now).token
    suspend(user, now)

    for attempt in (
        lambda: issue(deploys.membership, by=Actor.member(user), at=now),
        lambda: rotation.rotate(token=token, by=Actor.member(user), at=now),
    ):
        with pytest.raises(ValidationError, match="Sign in through single sign-on"):
            attempt()
    refused = AuditEvent.objects.filter(details__code="suspended").values_list("kind", flat=True)
    assert set(refused) == {"token.issue_refused", "token.rotate_refused"}
    assert tokens.delete(token=token, by=Actor.member(user), at=now)  # what only ends is allowed


def test_member_who_has_signed_in_again_issues_for_it(
    account: Account, user: Membership, now: datetime
) -> None:
    Membership.objects.filter(pk=user.pk).update(sso_at=now)
    user.refresh_from_db()
    deploys = service_account(account, at=now, issuers=[user])
    suspend(user, now)
    assert suspension.resume_tokens(membership=user, by=OPERATOR, at=now)

    assert issue(deploys.membership, by=Actor.member(user), at=now).token.issuer_id == deploys.pk


def test_its_tokens_act_for_it_and_not_beyond(
    deploys: ServiceAccount, administrator: Membership, now: datetime
) -> None:
    token = issue(
        deploys.membership, by=Actor.member(administrator), role=Role.ENGINEERS, at=now
    ).token
    by = Actor.token(deploys.membership, token_id=token.pk, role=Role.ENGINEERS, ends_at=None)

    issue(deploys.membership, by=by, role=Role.ENGINEERS, at=now)
    with pytest.raises(PermissionDenied):
        issue(administrator, by=by, at=now)
    with pytest.raises(PermissionDenied):
        services.switch(service_account=deploys, is_on=False, by=by, at=now)


def test_its_tokens_work_until_it_is_switched_off_and_again_afterwards(
    deploys: ServiceAccount, administrator: Membership, now: datetime
) -> None:
    by = Actor.member(administrator)
    key = issue(deploys.membership, by=by, at=now).key
    assert reason(key, now) is None

    services.switch(service_account=deploys, is_on=False, by=by, at=now)
    assert reason(key, now) == "issuer_inactive"
    with pytest.raises(PermissionDenied, match="turned off"):
        issue(deploys.membership, by=by, at=now)

    services.switch(service_account=deploys, is_on=True, by=by, at=now)
    assert reason(key, now) is None


def test_contact_named_members_and_administrators_are_told_and_not_who_acted(
    account: Account,
    administrator: Membership,
    engineer: Membership,
    user: Membership,
    stranger: Membership,
    now: datetime,
) -> None:
    deploys = service_account(account, at=now, contact=user, issuers=[engineer])

    token = issue(deploys.membership, by=Actor.member(engineer), at=now).token

    told = Notice.objects.values_list("user", flat=True)
    assert set(told) == {administrator.user_id, user.user_id}
    assert len(told) == 2
    by = Actor.token(deploys.membership, token_id=token.pk, role=Role.USERS, ends_at=None)
    rotation.rotate(token=token, by=by, at=now)
    assert Notice.objects.count() == 2, "what it did itself is no news"


def test_contact_that_is_an_address_gets_mails_until_another_one_is_named(
    account: Account, administrator: Membership, now: datetime
) -> None:
    by = Actor.member(administrator)
    deploys = service_account(account, at=now, contact_email="ops@example.com", by=by)

    issue(deploys.membership, by=by, name="Purge", at=now)

    mail = mail_to("ops@example.com")
    assert "Purge" in mail.subject
    assert "contact of the service account “Deploys”" in mail.text
    assert "/notifications/settings" not in mail.text
    signed = mail.unsubscribe_url.rstrip("/").rsplit("/", 1)[1]
    assert unsubscribe.read(signed).email == "ops@example.com"
    changes = services.Changes(contact_email="new@example.com")
    services.edit(service_account=deploys, changes=changes, by=by, at=now)
    assert mails_to("ops@example.com") == []
    with pytest.raises(unsubscribe.BadLink):
        unsubscribe.read(signed)


def test_address_gets_only_so_many_mails_of_a_kind_in_a_day(
    account: Account, administrator: Membership, now: datetime
) -> None:
    deploys = service_account(account, at=now, contact_email="ops@example.com")
    by = Actor.member(administrator)
    for number in range(MAILS.times + 3):
        issue(deploys.membership, by=by, name=f"Token {number}", at=now)

    assert Mail.objects.filter(address="ops@example.com").count() == MAILS.times
    deploys = service_account(account, at=now, contact_email="ops@example.com", name="More")
    issue(deploys.membership, by=by, at=now)
    assert Mail.objects.filter(address="ops@example.com").count() == MAILS.times
    # Those from another account are counted by themselves.
    stranger = service_account(AccountFactory.create(), at=now, contact_email="ops@example.com")
    issue(stranger.membership, by=OPERATOR, at=now)
    assert Mail.objects.filter(address="ops@example.com").count() == MAILS.times + 1


def test_address_that_has_unsubscribed_is_never_mailed_again_from_the_account(
    client: Client, account: Account, administrator: Membership, now: datetime
) -> None:
    contact: dict[str, Any] = {"contact_email": "ops@example.com"}
    deploys, other = (service_account(account, at=now, name=name, **contact) for name in "AB")
    by = Actor.member(administrator)
    issue(deploys.membership, by=by, at=now)
    client.post(mail_to("ops@example.com").unsubscribe_url.removeprefix(settings.BASE_URL))
    Mail.objects.all().delete()

    for address in ("", "ops@example.com"):
        changes = services.Changes(contact_email=address)
        services.edit(service_account=deploys, changes=changes, by=by, at=now)
    new = service_account(account, at=now, name="New", **contact)
    for each in (deploys, other, new):
        issue(each.membership, by=by, at=now)

    assert not Mail.objects.filter(address="ops@example.com").exists()
    refusal = Refusal.objects.get()
    assert "ops" not in str(vars(refusal))
    # Another kind, and another account, were not refused.
    stranger = service_account(AccountFactory.create(), at=now, **contact)
    issue(stranger.membership, by=OPERATOR, at=now)
    assert Mail.objects.filter(address="ops@example.com").count() == 1


def test_all_who_look_after_it_are_told_before_a_token_expires(
    account: Account,
    administrator: Membership,
    engineer: Membership,
    user: Membership,
    now: datetime,
) -> None:
    deploys = service_account(account, at=now, contact_email="ops@example.com", issuers=[engineer])
    expires_at = now + timedelta(days=8)
    by = Actor.member(administrator)
    token = issue(deploys.membership, by=by, expires_at=expires_at, at=now).token
    Notice.objects.all().delete()
    Mail.objects.all().delete()

    for _time in range(2):
        scan(at=now + timedelta(days=2))
        APIToken.objects.filter(pk=token.pk).update(notice_due_at=now)

    assert set(Notice.objects.values_list("user", flat=True)) == {
        *(administrator.user_id, engineer.user_id),
    }
    assert sorted(mail.goes_to for mail in Mail.objects.all()) == sorted(
        [administrator.user.email, engineer.user.email, "ops@example.com"]
    )
    for mail in Mail.objects.all():
        assert "Nightly backup" in mail_to(mail.goes_to).text


def test_without_contact_administrators_are_told_before_a_token_expires(
    account: Account, administrator: Membership, now: datetime
) -> None:
    deploys = service_account(account, at=now)
    expires_at = now + timedelta(days=8)
    issue(deploys.membership, by=Actor.member(administrator), expires_at=expires_at, at=now)

    scan(at=now + timedelta(days=2))

    assert Notice.objects.filter(user=administrator.user, kind="token_expiring").count() == 1


def test_scan_of_several_accounts_tells_administrators_of_their_own_tokens_alone(
    account: Account, administrator: Membership, stranger: Membership, now: datetime
) -> None:
    expires_at = now + timedelta(days=8)
    for each, name in ((account, "Ours"), (stranger.account, "Theirs")):
        deploys = service_account(each, at=now)
        issue(deploys.membership, by=OPERATOR, name=name, expires_at=expires_at, at=now)

    scan(at=now + timedelta(days=2))

    told = Notice.objects.filter(kind="token_expiring").values_list("user", "text")
    assert dict(told) == {administrator.user_id: "Ours", stranger.user_id: "Theirs"}


def _leave(member: Membership, now: datetime) -> None:
    members.remove_member(membership=member, by=OPERATOR, at=now)


def _deactivate(member: Membership, now: datetime) -> None:
    users.deactivate_user(user=member.user, by=OPERATOR, at=now)


@pytest.mark.parametrize("go", [_leave, _deactivate])
def test_someone_is_told_after_all_who_looked_after_it_have_gone(
    account: Account,
    administrator: Membership,
    engineer: Membership,
    user: Membership,
    now: datetime,
    go: Callable[[Membership, datetime], None],
) -> None:
    deploys = service_account(account, at=now, contact=user, issuers=[engineer])
    token = issue(deploys.membership, by=OPERATOR, expires_at=now + timedelta(days=8), at=now).token
    for member in (user, engineer):
        go(member, now)
    Notice.objects.all().delete()
    later = now + timedelta(days=2)

    scan(at=later)
    tell_of_refusal(token.pk, address="198.51.100.7", at=later)
    rotation.rotate(token=token, by=OPERATOR, at=later)

    told = {(notice.kind, notice.user_id) for notice in Notice.objects.all()}
    kinds = {kind for kind, _user in told}
    assert len(kinds) == 3, kinds
    assert {user_id for _kind, user_id in told} == {administrator.user_id}


def test_contact_is_told_of_a_new_address_of_a_strong_token(
    account: Account, administrator: Membership, user: Membership, now: datetime
) -> None:
    deploys = service_account(account, at=now, role=Role.ADMINISTRATORS, contact=user)
    by = Actor.member(administrator)
    token = issue(deploys.membership, by=by, role=Role.ADMINISTRATORS, at=now).token
    Notice.objects.all().delete()

    notify_new_addresses(token, ["192.0.2.9"], is_first_use=False, at=now)

    assert set(Notice.objects.values_list("user", flat=True)) == {
        *(administrator.user_id, user.user_id),
    }
