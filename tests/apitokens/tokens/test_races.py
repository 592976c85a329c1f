"""Promises that hold when many act at the same moment: in real processes, on both databases."""

from collections import Counter
from datetime import datetime
from uuid import uuid4

import pytest

from accounts.authorization.actor import Actor
from accounts.models import AuditEvent, Membership
from apitokens.models import APIToken
from apitokens.scopes.services import ScopeFacts, register
from tests.concurrency import outcomes
from tests.conftest import Issue
from tests.factories import MembershipFactory

pytestmark = [pytest.mark.both, pytest.mark.django_db(transaction=True)]


def test_limit_holds_when_32_processes_create_320_tokens(administrator: Membership) -> None:
    account = administrator.account
    members = [administrator, *MembershipFactory.create_batch(31, account=account)]
    deeds = [{"does": "issue", "member": member.pk, "times": 10} for member in members]
    assert outcomes(deeds) == {"issued": 50, "limit_reached": 270}
    assert APIToken.objects.filter(account=account).count() == 50
    assert AuditEvent.objects.filter(kind="token.issued").count() == 50
    assert AuditEvent.objects.filter(kind="token.issue_refused").count() == 270


def test_accounts_do_not_wait_at_each_others_limit(
    administrator: Membership, stranger: Membership
) -> None:
    deeds = [
        {"does": "issue", "member": member.pk, "times": 15}
        for member in (administrator, stranger)
        for _process in range(4)
    ]
    assert outcomes(deeds) == {"issued": 100, "limit_reached": 20}
    assert APIToken.objects.filter(account=stranger.account).count() == 50


def test_form_that_is_sent_16_times_at_once_creates_one_token(user: Membership) -> None:
    deed = {"does": "issue", "member": user.pk, "form_key": str(uuid4())}
    assert outcomes([deed] * 16) == {"issued": 1, "already_issued": 15}
    assert APIToken.objects.count() == 1


@pytest.mark.parametrize("round_number", range(3))
def test_nobody_leaves_an_active_token_behind(
    administrator: Membership, user: Membership, round_number: int
) -> None:
    leave = {"does": "leave", "member": user.pk}
    issue = {"does": "issue", "member": user.pk}
    told = outcomes([leave, issue, issue, issue])
    user.refresh_from_db()
    has_left, has_tokens = user.is_removed, APIToken.objects.exists()
    assert (told["left"] == 1) is has_left
    assert has_left is not has_tokens


@pytest.mark.parametrize("round_number", range(3))
def test_token_has_its_scope_or_the_service_has_lost_it(
    administrator: Membership, user: Membership, now: datetime, round_number: int
) -> None:
    """No token is left with a scope that nobody knows."""
    service = register(
        account=administrator.account,
        code="cdn",
        name="CDN",
        scopes=[ScopeFacts("purge", "Purge"), ScopeFacts("read", "Read")],
        by=Actor.member(administrator),
        at=now,
    )
    empty = {"does": "empty", "member": administrator.pk, "target": service.pk, "kept": "read"}
    issue = {"does": "issue", "member": user.pk, "scopes": ["cdn:purge"]}
    told = outcomes([issue, empty, issue, empty])
    is_kept = service.scopes.filter(code="purge").exists()
    assert is_kept is APIToken.objects.filter(scopes="cdn:purge").exists()
    assert told == ({"issued": 2, "in_use": 2} if is_kept else {"emptied": 2, "unknown": 2})


@pytest.mark.parametrize("round_number", range(3))
def test_token_is_handed_over_or_its_receiver_leaves(
    administrator: Membership, user: Membership, issue: Issue, round_number: int
) -> None:
    token = issue(administrator).token
    give = {"does": "hand_over", "member": administrator.pk, "target": token.pk, "to": user.pk}
    told = outcomes([give, {"does": "leave", "member": user.pk}])
    token.refresh_from_db()
    user.refresh_from_db()
    stays = "You can't remove the user as they have active tokens"
    handed = told == {"handed over": 1, stays: 1}
    assert handed or told == {"receiver_gone": 1, "left": 1}, told
    assert (token.issuer == user, user.is_removed) == (handed, not handed)


@pytest.mark.parametrize("round_number", range(3))
def test_token_is_handed_over_rotated_and_deleted_in_some_order(
    administrator: Membership, user: Membership, issue: Issue, round_number: int
) -> None:
    token = issue(administrator).token
    deeds = ["rotate", "delete", "hand_over"]
    about = {"member": administrator.pk, "target": token.pk, "to": user.pk}
    told = outcomes([{"does": each, **about} for each in deeds])
    token.refresh_from_db()
    assert told["gone"] == 1
    assert told["handed over"] + told["nothing to hand over"] == 1
    assert told.total() == len(deeds)
    assert token.deleted_at is not None
    assert (token.issuer == user) is (told["handed over"] == 1)
    assert (token.rotations == 1) is (told["rotated"] == 1)
    assert AuditEvent.objects.filter(kind="token.handed_over").count() == told["handed over"]


@pytest.mark.parametrize("round_number", range(3))
def test_token_in_several_deletions_is_deleted_by_one_of_them(
    administrator: Membership, issue: Issue, round_number: int
) -> None:
    ids = [issue(administrator).token.pk for _each in range(4)]
    several = {"does": "delete_several", "member": administrator.pk}
    deeds = [
        several | {"targets": ids[:3]},
        several | {"targets": ids[:0:-1]},
        {"does": "delete", "member": administrator.pk, "target": ids[1]},
    ]
    told = outcomes(deeds)
    assert told.total() == len(deeds)
    assert told["gone"] == 1
    events = AuditEvent.objects.filter(kind="token.deleted")
    assert Counter(event.subject_id for event in events) == Counter(ids)
    by_several = sum(
        int(each.removeprefix("deleted ")) * times for each, times in told.items() if each != "gone"
    )
    assert by_several in (len(ids) - 1, len(ids))


@pytest.mark.parametrize("round_number", range(3))
def test_token_issued_while_all_are_deleted_is_gone_or_came_after(
    administrator: Membership, user: Membership, issue: Issue, round_number: int
) -> None:
    for _number in range(3):
        issue(user)
    deeds = [
        {"does": "delete_all", "member": administrator.pk, "target": user.pk},
        *[{"does": "issue", "member": user.pk}] * 3,
    ]
    assert outcomes(deeds) == {"deleted all": 1, "issued": 3}
    (event,) = AuditEvent.objects.filter(kind="token.all_deleted")
    tokens = APIToken.objects.filter(issuer=user)
    assert tokens.deleted().count() == event.details["count"] >= 3
    assert tokens.count() == 6


def test_last_two_administrators_do_not_both_leave(administrator: Membership) -> None:
    other = MembershipFactory.create(account=administrator.account, role=administrator.role)
    deeds = [{"does": "leave", "member": member.pk} for member in (administrator, other)]
    told = outcomes(deeds)
    assert told["left"] == 1
    assert Membership.objects.present().filter(account=administrator.account).count() == 1


def test_crowd_leaves_the_database_to_the_next(user: Membership, issue: Issue) -> None:
    outcomes([{"does": "issue", "member": user.pk}] * 4)
    assert issue(user)
