"""Deleting: who may, what it leaves behind, and when even that is forgotten."""

from datetime import datetime, timedelta

import pytest
from django.core.exceptions import PermissionDenied
from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts.authorization.actor import Actor, EntryPoint
from accounts.models import AuditEvent, Membership
from accounts.roles import Role
from apitokens.models import APIToken, Status
from apitokens.tokens import services as token_services
from tests.conftest import Issue, is_on_postgresql
from tests.factories import MembershipFactory
from tests.factories import acting as acting_token

pytestmark = pytest.mark.django_db

PAIRS = [(acting, other) for acting in Role for other in Role]
COVERED = [(acting, other) for acting, other in PAIRS if acting.rank <= other.rank]
STRONGER = [(acting, other) for acting, other in PAIRS if acting.rank > other.rank]

SYSTEM = Actor.operator(through=EntryPoint.SYSTEM)


def test_member_deletes_a_token_they_issued(user: Membership, issue: Issue, now: datetime) -> None:
    token = issue(user).token
    assert token_services.delete(token=token, by=Actor.member(user), at=now)
    assert token.status(now) is Status.DELETED


def test_administrator_deletes_any_token_of_the_account(
    administrator: Membership, user: Membership, issue: Issue, now: datetime
) -> None:
    assert token_services.delete(token=issue(user).token, by=Actor.member(administrator), at=now)


@pytest.mark.parametrize("role", [role for role in Role if role is not Role.ADMINISTRATORS])
def test_others_may_not_delete_what_they_did_not_issue(
    user: Membership, issue: Issue, now: datetime, role: Role
) -> None:
    token = issue(user).token
    colleague = MembershipFactory.create(account=user.account, role=role)
    with pytest.raises(PermissionDenied):
        token_services.delete(token=token, by=Actor.member(colleague), at=now)
    assert APIToken.objects.undeleted().filter(pk=token.pk).exists()


def test_administrator_of_another_account_may_not_delete(
    stranger: Membership, user: Membership, issue: Issue, now: datetime
) -> None:
    token = issue(user).token
    with pytest.raises(PermissionDenied):
        token_services.delete(token=token, by=Actor.member(stranger), at=now)
    assert APIToken.objects.undeleted().filter(pk=token.pk).exists()


def test_person_deletes_nothing_as_a_member_of_another_account(
    administrator: Membership, issue: Issue, now: datetime
) -> None:
    elsewhere = MembershipFactory.create(user=administrator.user, role=Role.ADMINISTRATORS)
    with pytest.raises(PermissionDenied):
        token_services.delete(token=issue(administrator).token, by=Actor.member(elsewhere), at=now)


def test_operator_deletes_any_token(user: Membership, issue: Issue, now: datetime) -> None:
    operator = Actor.operator(through=EntryPoint.ADMIN)
    assert token_services.delete(token=issue(user).token, by=operator, at=now)


@pytest.mark.parametrize(("acting", "other"), COVERED)
def test_token_deletes_tokens_of_equal_or_lower_role(
    administrator: Membership, issue: Issue, now: datetime, acting: Role, other: Role
) -> None:
    by = acting_token(administrator, acting, at=now)
    assert token_services.delete(token=issue(administrator, role=other).token, by=by, at=now)


@pytest.mark.parametrize(("acting", "other"), STRONGER)
def test_token_may_not_delete_stronger_tokens_even_of_its_own_issuer(
    administrator: Membership, issue: Issue, now: datetime, acting: Role, other: Role
) -> None:
    token = issue(administrator, role=other).token
    by = acting_token(administrator, acting, at=now)
    with pytest.raises(PermissionDenied):
        token_services.delete(token=token, by=by, at=now)
    assert APIToken.objects.undeleted().filter(pk=token.pk).exists()


def test_token_below_administrators_may_not_delete_other_peoples_tokens(
    administrator: Membership, user: Membership, issue: Issue, now: datetime
) -> None:
    by = acting_token(administrator, Role.ENGINEERS, at=now)
    with pytest.raises(PermissionDenied):
        token_services.delete(token=issue(user).token, by=by, at=now)


def test_token_may_delete_itself(user: Membership, issue: Issue, now: datetime) -> None:
    token = issue(user).token
    by = Actor.token(user, token_id=token.pk, role=Role.USERS, ends_at=None)
    assert token_services.delete(token=token, by=by, at=now)


def test_deletion_keeps_the_row_with_who_and_when(
    administrator: Membership, user: Membership, issue: Issue, now: datetime
) -> None:
    token = issue(user).token
    token_services.delete(token=token, by=Actor.member(administrator), at=now)
    row = APIToken.objects.get(pk=token.pk)
    assert (row.deleted_at, row.deleted_by) == (now, administrator.user)


def test_second_deletion_is_told_and_changes_nothing(
    administrator: Membership, user: Membership, issue: Issue, now: datetime
) -> None:
    token = issue(user).token
    token_services.delete(token=token, by=Actor.member(user), at=now)
    later = now + timedelta(days=1)
    again = APIToken.objects.get(pk=token.pk)
    assert not token_services.delete(token=again, by=Actor.member(administrator), at=later)
    row = APIToken.objects.get(pk=token.pk)
    assert (row.deleted_at, row.deleted_by) == (now, user.user)
    assert AuditEvent.objects.filter(kind="token.deleted").count() == 1


def test_expired_token_can_be_deleted(user: Membership, issue: Issue, now: datetime) -> None:
    token = issue(user, expires_at=now + timedelta(days=1)).token
    later = now + timedelta(days=2)
    assert token_services.delete(token=token, by=Actor.member(user), at=later)
    assert token.status(later) is Status.DELETED


def test_deletion_leaves_an_event(
    administrator: Membership, user: Membership, issue: Issue, now: datetime
) -> None:
    token = issue(user, name="CI").token
    token_services.delete(token=token, by=Actor.member(administrator, address="192.0.2.7"), at=now)
    event = AuditEvent.objects.get(kind="token.deleted")
    assert (event.user, event.account, event.subject_id, event.address, event.at) == (
        administrator.user,
        user.account,
        token.pk,
        "192.0.2.7",
        now,
    )
    assert event.details == {"name": "CI"}


def test_deletion_whose_event_cannot_be_written_did_not_happen(
    user: Membership, issue: Issue, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_args: object, **_kwargs: object) -> None:
        raise RuntimeError

    token = issue(user).token
    monkeypatch.setattr("accounts.audit.recorder.record", fail)
    with pytest.raises(RuntimeError):
        token_services.delete(token=token, by=Actor.member(user), at=now)
    assert APIToken.objects.undeleted().filter(pk=token.pk).exists()


def test_many_are_deleted_and_counted(
    administrator: Membership, user: Membership, issue: Issue, now: datetime
) -> None:
    tokens = [issue(user).token for _each in range(3)]
    token_services.delete(token=tokens[0], by=Actor.member(user), at=now)
    assert token_services.delete_all(tokens=tokens, by=Actor.member(administrator), at=now) == 2


def test_many_are_deleted_all_or_none(
    administrator: Membership, user: Membership, issue: Issue, now: datetime
) -> None:
    tokens = [issue(user).token, issue(administrator).token]
    with pytest.raises(PermissionDenied):
        token_services.delete_all(tokens=tokens, by=Actor.member(user), at=now)
    assert APIToken.objects.undeleted().count() == 2
    assert not AuditEvent.objects.filter(kind="token.deleted").exists()


def deleted(issue: Issue, member: Membership, at: datetime) -> APIToken:
    token = issue(member).token
    token_services.delete(token=token, by=Actor.member(member), at=at)
    return token


def test_digest_is_forgotten_90_days_after_deletion(
    user: Membership, issue: Issue, now: datetime
) -> None:
    token = deleted(issue, user, now)
    assert token_services.forget_digests(by=SYSTEM, at=now + timedelta(days=90)) == 1
    row = APIToken.objects.get(pk=token.pk)
    assert (row.digest, row.pepper) == (None, None)


def test_digest_is_kept_until_then(user: Membership, issue: Issue, now: datetime) -> None:
    token = deleted(issue, user, now)
    assert token_services.forget_digests(by=SYSTEM, at=now + timedelta(days=89, hours=23)) == 0
    assert APIToken.objects.get(pk=token.pk).digest


def test_digests_of_active_and_expired_tokens_are_never_forgotten(
    user: Membership, issue: Issue, now: datetime
) -> None:
    issue(user)
    issue(user, expires_at=now + timedelta(days=1))
    assert token_services.forget_digests(by=SYSTEM, at=now + timedelta(days=10_000)) == 0


def test_forgetting_leaves_one_event_and_is_idempotent(
    user: Membership, issue: Issue, now: datetime
) -> None:
    deleted(issue, user, now)
    deleted(issue, user, now)
    for _run in range(2):
        token_services.forget_digests(by=SYSTEM, at=now + timedelta(days=100))
    event = AuditEvent.objects.get(kind="token.digests_purged")
    assert (event.through, event.details) == ("system", {"count": 2})


def test_many_digests_are_forgotten_in_parts(
    user: Membership, issue: Issue, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(token_services, "FORGOTTEN_AT_ONCE", 2)
    for _each in range(5):
        deleted(issue, user, now)
    assert token_services.forget_digests(by=SYSTEM, at=now + timedelta(days=90)) == 5
    assert not APIToken.objects.filter(digest__isnull=False).exists()
    events = AuditEvent.objects.filter(kind="token.digests_purged").order_by("pk")
    assert [event.details["count"] for event in events] == [2, 2, 1]


def test_audit_event_cannot_be_changed(user: Membership, issue: Issue) -> None:
    issue(user)
    event = AuditEvent.objects.get()
    event.kind = "nothing.happened"
    with pytest.raises(TypeError, match="cannot be changed"):
        event.save()
    with pytest.raises(TypeError, match="cannot be changed"):
        AuditEvent.objects.update(kind="nothing.happened")


def test_audit_event_cannot_be_deleted(user: Membership, issue: Issue) -> None:
    issue(user)
    with pytest.raises(TypeError, match="cannot be deleted"):
        AuditEvent.objects.get().delete()
    with pytest.raises(TypeError, match="cannot be deleted"):
        AuditEvent.objects.all().delete()


@pytest.mark.both
@pytest.mark.skipif(not is_on_postgresql(), reason="the whole database is locked there")
def test_digests_are_forgotten_in_the_order_of_ids(
    user: Membership, issue: Issue, now: datetime
) -> None:
    """As uses are stored: in another order the two could wait for each other."""
    for _each in range(2):
        deleted(issue, user, at=now)
    with CaptureQueriesContext(connection) as queries:
        token_services.forget_digests(by=SYSTEM, at=now + timedelta(days=90))
    said = [each["sql"] for each in queries if '"apitokens_apitoken"' in each["sql"]]
    change = next(number for number, sql in enumerate(said) if sql.startswith("UPDATE"))
    assert any("ORDER BY" in sql and "FOR NO KEY UPDATE" in sql for sql in said[:change])
