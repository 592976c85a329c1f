"""API tokens of a member who stays away from their account's identity provider: refused, until the
member signs in through it."""

from datetime import datetime, timedelta

import pytest
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import IntegrityError, transaction
from django.test import Client

from accounts.authorization.actor import Actor, EntryPoint
from accounts.authorization.recheck import reauthorize
from accounts.members import services as members
from accounts.members import suspension
from accounts.models import AuditEvent, Membership
from accounts.roles import Role
from apitokens.cache.token_caches import TOKENS
from apitokens.keys import Key
from apitokens.models import APIToken
from apitokens.pages.detail import token_detail
from apitokens.tokens import services as token_services
from apitokens.verification.refusals import Refusal, Refused
from apitokens.verification.verify import verify
from tests.conftest import Api, Issue
from tests.factories import MembershipFactory

pytestmark = [pytest.mark.django_db, pytest.mark.both]

SYSTEM = Actor.operator(through=EntryPoint.SYSTEM)
VERIFY = "/iam/auth/verify"


@pytest.fixture
def away(user: Membership, now: datetime) -> Membership:
    """A member who came through the provider a while ago."""
    user.sso_at = now - timedelta(days=40)
    user.save()
    return user


def refusal(key: Key, at: datetime) -> Refused:
    with pytest.raises(Refused) as refused:
        verify(presented=key.spell(), at=at)
    return refused.value


def suspend(member: Membership, at: datetime) -> None:
    assert suspension.suspend_tokens(membership=member, by=SYSTEM, at=at)


def test_suspended_token_is_refused_and_its_holder_hears_why(
    away: Membership, issue: Issue, now: datetime
) -> None:
    key = issue(away).key
    assert verify(presented=key.spell(), at=now)
    suspend(away, now)
    refused = refusal(key, now)
    assert refused.code is Refusal.ISSUER_INACTIVE
    assert "will work again once they sign in there" in refused.sentence


def test_suspension_is_not_told_to_who_holds_a_wrong_secret(
    away: Membership, issue: Issue, now: datetime
) -> None:
    key = issue(away).key
    suspend(away, now)
    assert refusal(Key(key.id, "0" * 64), now).code is Refusal.UNKNOWN


def test_token_works_again_once_its_issuer_has_come_through_the_provider(
    away: Membership, issue: Issue, now: datetime
) -> None:
    key = issue(away).key
    suspend(away, now)
    suspension.record_sso_sign_in(membership=away, by=Actor.member(away), at=now)
    assert verify(presented=key.spell(), at=now)


def test_tokens_of_others_and_in_other_accounts_go_on(
    away: Membership, administrator: Membership, issue: Issue, now: datetime
) -> None:
    elsewhere = MembershipFactory.create(user=away.user, role=Role.USERS)
    others, own = issue(administrator).key, issue(elsewhere).key
    suspend(away, now)
    assert verify(presented=others.spell(), at=now)
    assert verify(presented=own.spell(), at=now)


def test_inactive_issuer_who_is_suspended_too_is_refused_as_inactive(
    away: Membership, issue: Issue, now: datetime
) -> None:
    key = issue(away).key
    suspend(away, now)
    away.user.is_active = False
    away.user.save()
    assert "is not active" in refusal(key, now).sentence


def test_deleted_and_expired_come_before_suspended(
    away: Membership, issue: Issue, now: datetime
) -> None:
    deleted, expiring = issue(away), issue(away, expires_at=now + timedelta(days=1))
    suspend(away, now)
    token_services.delete(token=deleted.token, by=Actor.member(away), at=now)
    assert refusal(deleted.key, now).code is Refusal.DELETED
    assert refusal(expiring.key, now + timedelta(days=2)).code is Refusal.EXPIRED


def test_this_process_forgets_on_commit_what_it_remembered(
    away: Membership,
    issue: Issue,
    now: datetime,
    memory: None,
    django_capture_on_commit_callbacks: object,
) -> None:
    assert callable(django_capture_on_commit_callbacks)
    key = issue(away).key
    verify(presented=key.spell(), at=now)
    assert TOKENS.find(key.id) is not None
    with django_capture_on_commit_callbacks(execute=True):
        suspend(away, now)
    assert TOKENS.find(key.id) is None
    with django_capture_on_commit_callbacks(execute=True):
        suspension.resume_tokens(membership=away, by=SYSTEM, at=now)
    assert verify(presented=key.spell(), at=now)


def test_service_that_asks_and_the_api_answer_issuer_inactive(
    away: Membership, issue: Issue, now: datetime, client: Client, api: Api
) -> None:
    key = issue(away).key
    suspend(away, now)
    asked = client.get(VERIFY, headers={"Authorization": f"APIKey {key.spell()}"})
    called = api(key).get("/iam/clients/me")
    for answer in (asked, called):
        assert (answer.status_code, answer.json()["code"]) == (401, "issuer_inactive")
        assert "suspended" in answer.json()["hint"]


def test_token_that_is_acting_while_it_is_suspended_does_nothing_more(
    away: Membership, issue: Issue, now: datetime
) -> None:
    token = issue(away).token
    acting = Actor.token(away, token_id=token.pk, role=Role.USERS, ends_at=None)
    assert reauthorize(acting, now)
    suspend(away, now)
    with pytest.raises(PermissionDenied, match="no longer valid"):
        reauthorize(acting, now)


def test_new_tokens_wait_until_the_suspension_is_lifted(
    away: Membership, issue: Issue, now: datetime
) -> None:
    suspend(away, now)
    with pytest.raises(ValidationError) as refused:
        issue(away)
    assert refused.value.code == "suspended"
    assert not APIToken.objects.exists()
    assert AuditEvent.objects.get(kind="token.issue_refused").details["code"] == "suspended"
    suspension.record_sso_sign_in(membership=away, by=Actor.member(away), at=now)
    assert issue(away)


def test_suspended_tokens_can_be_deleted(
    away: Membership, administrator: Membership, issue: Issue, now: datetime
) -> None:
    token = issue(away).token
    suspend(away, now)
    assert token_services.delete(token=token, by=Actor.member(administrator), at=now)


def test_both_ends_of_a_suspension_are_in_the_account_s_log(
    away: Membership, now: datetime
) -> None:
    suspend(away, now)
    suspension.record_sso_sign_in(membership=away, by=Actor.member(away), at=now)
    suspended, resumed = AuditEvent.objects.order_by("pk")
    assert [suspended.kind, resumed.kind] == ["member.tokens_suspended", "member.tokens_resumed"]
    assert {suspended.account_id, resumed.account_id} == {away.account_id}
    assert {suspended.subject_id, resumed.subject_id} == {away.pk}
    assert (suspended.through, resumed.user_id) == ("system", away.user_id)


def test_refusal_of_a_suspended_token_is_told_on_its_page(
    away: Membership, issue: Issue, now: datetime
) -> None:
    token, key = issue(away)
    suspend(away, now)
    refusal(key, now)
    (latest, *_earlier) = token_detail(token, at=now, query={})["entries"]
    assert latest.words == "Rejected: it was suspended"


def test_suspension_and_return_are_idempotent(away: Membership, now: datetime) -> None:
    suspend(away, now)
    assert not suspension.suspend_tokens(membership=away, by=SYSTEM, at=now)
    assert suspension.resume_tokens(membership=away, by=SYSTEM, at=now)
    assert not suspension.resume_tokens(membership=away, by=SYSTEM, at=now)
    assert AuditEvent.objects.count() == 2


def test_member_who_signed_in_after_the_scan_read_them_is_not_suspended(
    away: Membership, now: datetime
) -> None:
    looked_at = Membership.objects.get(pk=away.pk)
    suspension.record_sso_sign_in(membership=away, by=Actor.member(away), at=now)
    assert not suspension.suspend_tokens(membership=looked_at, by=SYSTEM, at=now)


def test_nobody_suspends_by_hand(
    away: Membership, administrator: Membership, now: datetime
) -> None:
    with pytest.raises(PermissionDenied):
        suspension.suspend_tokens(membership=away, by=Actor.member(administrator), at=now)


def test_database_knows_no_suspension_of_who_never_came(user: Membership, now: datetime) -> None:
    with pytest.raises(IntegrityError), transaction.atomic():
        Membership.objects.filter(pk=user.pk).update(tokens_suspended_at=now)


def test_who_is_removed_and_comes_back_begins_anew(
    away: Membership, administrator: Membership, now: datetime
) -> None:
    suspend(away, now)
    by = Actor.member(administrator)
    members.remove_member(membership=away, by=by, at=now)
    back = members.add_member(account=away.account, user=away.user, role=Role.USERS, by=by, at=now)
    assert (back.sso_at, back.tokens_suspended_at) == (None, None)
