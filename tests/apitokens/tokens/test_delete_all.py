"""Deleting all API tokens of one person in one step."""

from datetime import datetime, timedelta

import pytest
from django.core.exceptions import PermissionDenied
from django.db import connection
from django.test.utils import CaptureQueriesContext

from accounts.authorization.actor import Actor, EntryPoint
from accounts.members import services as members
from accounts.models import AuditEvent, Membership
from accounts.roles import Role
from apitokens.models import APIToken
from apitokens.tokens.services import delete, delete_all, delete_all_of, delete_selected
from apitokens.verification.refusals import Refusal, Refused
from apitokens.verification.verify import verify
from notifications.models import Mail, Notice
from tests.conftest import Issue
from tests.factories import MembershipFactory, acting

pytestmark = pytest.mark.django_db


def active(member: Membership, at: datetime) -> int:
    return APIToken.objects.active(at).filter(issuer=member).count()


def test_administrators_delete_all_tokens_of_a_person_and_no_other_s(
    user: Membership, administrator: Membership, issue: Issue, now: datetime
) -> None:
    key = issue(user).key
    issue(user)
    issue(administrator)
    assert delete_all_of(issuer=user, by=Actor.member(administrator), at=now) == 2
    assert (active(user, now), active(administrator, now)) == (0, 1)
    with pytest.raises(Refused) as refused:
        verify(presented=key.spell(), at=now)
    assert refused.value.code is Refusal.DELETED


def test_tokens_of_the_person_in_another_account_stay(
    user: Membership, administrator: Membership, issue: Issue, now: datetime
) -> None:
    elsewhere = MembershipFactory.create(user=user.user)
    issue(elsewhere)
    assert delete_all_of(issuer=user, by=Actor.member(administrator), at=now) == 0
    assert active(elsewhere, now) == 1


def test_everybody_deletes_all_their_own(user: Membership, issue: Issue, now: datetime) -> None:
    issue(user)
    assert delete_all_of(issuer=user, by=Actor.member(user), at=now) == 1


def test_operators_delete_all_of_anybody(user: Membership, issue: Issue, now: datetime) -> None:
    issue(user)
    by = Actor.operator(through=EntryPoint.COMMAND)
    assert delete_all_of(issuer=user, by=by, at=now) == 1


@pytest.mark.parametrize("who", ["engineer", "stranger"])
def test_nobody_else_deletes_all_of_a_person(
    user: Membership, issue: Issue, now: datetime, who: str, request: pytest.FixtureRequest
) -> None:
    issue(user)
    other: Membership = request.getfixturevalue(who)
    with pytest.raises(PermissionDenied):
        delete_all_of(issuer=user, by=Actor.member(other), at=now)
    assert active(user, now) == 1


def test_administrator_who_was_removed_meanwhile_deletes_nothing(
    user: Membership, administrator: Membership, issue: Issue, now: datetime
) -> None:
    issue(user)
    other = MembershipFactory.create(account=administrator.account, role=Role.ADMINISTRATORS)
    by = Actor.member(administrator)
    members.remove_member(membership=administrator, by=Actor.member(other), at=now)
    with pytest.raises(PermissionDenied):
        delete_all_of(issuer=user, by=by, at=now)
    assert active(user, now) == 1


def test_weak_token_deletes_none_if_one_of_them_is_stronger(
    administrator: Membership, issue: Issue, now: datetime
) -> None:
    issue(administrator, role=Role.ADMINISTRATORS)
    issue(administrator, role=Role.USERS)
    before = active(administrator, now)
    by = acting(administrator, Role.USERS, at=now)
    with pytest.raises(PermissionDenied):
        delete_all_of(issuer=administrator, by=by, at=now)
    assert active(administrator, now) == before + 1


def test_token_that_acts_goes_with_the_others(
    administrator: Membership, issue: Issue, now: datetime
) -> None:
    issue(administrator)
    by = acting(administrator, Role.ADMINISTRATORS, at=now)
    assert delete_all_of(issuer=administrator, by=by, at=now) == 2
    assert active(administrator, now) == 0


def test_tokens_that_have_ended_stay_as_they_are(
    user: Membership, administrator: Membership, issue: Issue, now: datetime
) -> None:
    expired = issue(user, expires_at=now + timedelta(hours=1)).token
    gone = issue(user).token
    delete(token=gone, by=Actor.member(user), at=now)
    later = now + timedelta(hours=2)
    assert delete_all_of(issuer=user, by=Actor.member(administrator), at=later) == 0
    expired.refresh_from_db()
    gone.refresh_from_db()
    assert (expired.deleted_at, gone.deleted_at) == (None, now)


def test_each_token_leaves_an_event_and_all_of_them_one_about_the_person(
    user: Membership, administrator: Membership, issue: Issue, now: datetime
) -> None:
    tokens = {issue(user).token.pk, issue(user).token.pk}
    delete_all_of(issuer=user, by=Actor.member(administrator), at=now)
    events = AuditEvent.objects.filter(kind="token.deleted")
    assert set(events.values_list("subject_id", flat=True)) == tokens
    about = AuditEvent.objects.get(kind="token.all_deleted")
    assert (about.subject_type, about.subject_id) == ("membership", user.pk)
    assert about.details["count"] == 2
    assert about.user_id == administrator.user_id


def test_the_person_is_told_once(
    user: Membership, administrator: Membership, issue: Issue, now: datetime
) -> None:
    for _each in range(3):
        issue(user)
    delete_all_of(issuer=user, by=Actor.member(administrator), at=now)
    notice = Notice.objects.get(user=user.user)
    assert notice.title == f"“{administrator.user.name}” deleted all your 3 API tokens"
    assert Mail.objects.get().user_id == user.user_id


def test_who_deletes_their_own_is_not_told(user: Membership, issue: Issue, now: datetime) -> None:
    issue(user)
    delete_all_of(issuer=user, by=Actor.member(user), at=now)
    assert not Notice.objects.exists()


def test_deleting_all_is_idempotent(
    user: Membership, administrator: Membership, issue: Issue, now: datetime
) -> None:
    issue(user)
    by = Actor.member(administrator)
    delete_all_of(issuer=user, by=by, at=now)
    before = AuditEvent.objects.count()
    assert delete_all_of(issuer=user, by=by, at=now) == 0
    assert AuditEvent.objects.count() == before


@pytest.mark.both
@pytest.mark.parametrize("how", ["all", "selected", "these"])
def test_statements_do_not_grow_with_the_number_of_tokens(
    administrator: Membership, issue: Issue, now: datetime, how: str
) -> None:
    """On SQLite others wait to write until all are done."""

    def statements(number: int) -> int:
        tokens = [issue(administrator).token for _each in range(number)]
        by = Actor.member(administrator)
        with CaptureQueriesContext(connection) as queries:
            if how == "all":
                done = delete_all_of(issuer=administrator, by=by, at=now)
            elif how == "selected":
                ids = [token.pk for token in tokens]
                account = administrator.account
                done = len(delete_selected(account=account, token_ids=ids, by=by, at=now))
            else:
                done = delete_all(tokens=tokens, by=by, at=now)
        assert done == number
        assert AuditEvent.objects.filter(kind="token.deleted").count() >= number
        # Without those of the notices, of which `delete_all` promises one for each token.
        tables = ("apitokens_apitoken", "accounts_auditevent")
        return len([each for each in queries if any(table in each["sql"] for table in tables)])

    assert statements(20) <= statements(2)
