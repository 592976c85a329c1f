"""Rotating: a new secret under the same id, and an old one that goes on for a while."""

from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.conf import settings as portal
from django.core.exceptions import PermissionDenied, ValidationError
from pytest_django import Settings

from accounts.authorization.actor import Actor, EntryPoint
from accounts.models import AuditEvent, Membership
from accounts.roles import Role
from apitokens.cache.token_caches import TOKENS
from apitokens.keys import Key
from apitokens.models import APIToken, OldSecret
from apitokens.tokens import editing, rotation
from apitokens.tokens import services as token_services
from apitokens.tokens.rotation import Grace
from apitokens.usage import flusher
from apitokens.verification.refusals import Refusal, Refused, Verified
from apitokens.verification.verify import verify
from notifications.models import Notice
from tests.concurrency import outcomes
from tests.conftest import Issue
from tests.factories import MembershipFactory, acting

pytestmark = pytest.mark.django_db

SYSTEM = Actor.operator(through=EntryPoint.SYSTEM)
HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def rotate(token: APIToken, *, at: datetime, by: Actor | None = None, **facts: Any) -> Key:
    """Rotate the token as it is now, as its issuer if nobody else does."""
    token = APIToken.objects.get(pk=token.pk)
    actor = by or Actor.member(token.issuer)
    key = rotation.rotate(token=token, by=actor, at=at, **facts).key
    TOKENS.forget_all()
    return key


def answer(key: Key, at: datetime, **facts: Any) -> Verified | Refusal:
    try:
        return verify(presented=key.spell(), at=at, **facts)
    except Refused as refused:
        return refused.code


def works(key: Key, at: datetime) -> bool:
    return isinstance(answer(key, at), Verified)


@pytest.mark.parametrize("grace", Grace)
def test_both_secrets_work_until_the_old_one_ends(
    user: Membership, issue: Issue, now: datetime, grace: Grace
) -> None:
    token, old = issue(user)
    new = rotate(token, at=now, grace=grace)
    end = now + timedelta(hours=grace)

    assert works(old, end - timedelta(microseconds=1))
    assert answer(old, end) is Refusal.ROTATED
    assert works(new, now)
    assert works(new, end)


def test_rotation_keeps_id_place_usage_and_events(
    user: Membership, issue: Issue, now: datetime
) -> None:
    token, _old = issue(user, at=now - DAY)
    facts = ("created_at", "name", "description", "role", "expires_at", "last_used_at")
    before = APIToken.objects.values(*facts).get(pk=token.pk)
    in_use = token_services.usage(user.account, at=now).in_use

    rotate(token, at=now)

    assert APIToken.objects.values(*facts).get(pk=token.pk) == before
    assert token_services.usage(user.account, at=now).in_use == in_use
    kinds = AuditEvent.objects.filter(subject_id=token.pk).values_list("kind", flat=True)
    assert sorted(kinds) == ["token.issued", "token.rotated"]


def test_account_at_its_limit_can_rotate(user: Membership, issue: Issue, now: datetime) -> None:
    token, _old = issue(user)
    type(user.account).objects.filter(pk=user.account_id).update(token_limit=1)
    assert works(rotate(token, at=now), now)


def test_old_secret_never_outlives_the_expiration_that_it_had(
    user: Membership, issue: Issue, now: datetime
) -> None:
    token, old = issue(user, expires_at=now + HOUR)
    new = rotate(token, at=now, grace=Grace.WEEK, expires_at=now + 90 * DAY)
    assert answer(old, now + HOUR) is Refusal.ROTATED
    assert works(new, now + 89 * DAY)
    assert answer(new, now + 90 * DAY) is Refusal.EXPIRED


def test_old_secret_never_outlives_an_earlier_end_that_rotating_sets(
    user: Membership, issue: Issue, now: datetime
) -> None:
    token, _old = issue(user, expires_at=now + 90 * DAY)
    rotate(token, at=now, grace=Grace.WEEK, expires_at=now + DAY)
    assert OldSecret.objects.get().ends_at == now + DAY


def test_old_secret_ends_with_its_token(user: Membership, issue: Issue, now: datetime) -> None:
    token, old = issue(user, expires_at=now + 9 * DAY)
    rotate(token, at=now, grace=Grace.WEEK)
    actor = Actor.member(user)
    editing.edit(token=token, changes={"expires_at": now + HOUR}, by=actor, at=now)
    TOKENS.forget_all()
    assert answer(old, now + HOUR) is Refusal.EXPIRED
    assert OldSecret.objects.get().ends_at == now + HOUR

    token_services.delete(token=token, by=actor, at=now)
    TOKENS.forget_all()
    assert answer(old, now) is Refusal.DELETED


def test_rotating_again_ends_the_oldest(user: Membership, issue: Issue, now: datetime) -> None:
    token, oldest = issue(user)
    old = rotate(token, at=now)
    new = rotate(token, at=now + HOUR)
    assert [works(key, now + HOUR) for key in (oldest, old, new)] == [False, True, True]
    assert OldSecret.objects.count() == 1


def test_old_secret_tells_when_and_from_where_it_was_last_used(
    memory: None, user: Membership, issue: Issue, now: datetime
) -> None:
    token, old = issue(user)
    new = rotate(token, at=now)
    assert not OldSecret.objects.get().was_used_since_rotation

    verify(presented=old.spell(), at=now + HOUR, address="192.0.2.7")  # read from the database
    verify(presented=old.spell(), at=now + 2 * HOUR, address="192.0.2.8")  # and from memory
    verify(presented=new.spell(), at=now + 3 * HOUR, address="192.0.2.9")
    flusher.usage_flusher.end()

    secret = OldSecret.objects.get()
    assert (secret.last_used_at, secret.last_used_address) == (now + 2 * HOUR, "192.0.2.8")
    assert secret.was_used_since_rotation
    token.refresh_from_db()
    assert token.last_used_at == now + 3 * HOUR


def test_uses_of_a_secret_are_not_taken_for_those_of_the_next(
    user: Membership, issue: Issue, now: datetime
) -> None:
    token, oldest = issue(user)
    rotate(token, at=now)
    verify(presented=oldest.spell(), at=now, address="192.0.2.7")
    rotate(token, at=now)
    flusher.usage_flusher.end()
    assert OldSecret.objects.get().last_used_address != "192.0.2.7"


def test_introspection_is_told_the_end_of_the_secret_that_is_shown(
    user: Membership, issue: Issue, now: datetime
) -> None:
    token, old = issue(user)
    new = rotate(token, at=now, grace=Grace.HOUR)
    ends = [answer(key, now, by_client=False) for key in (old, new)]
    assert [each.expires_at for each in ends if isinstance(each, Verified)] == [now + HOUR, None]


def test_used_old_secret_is_digested_under_the_newest_pepper(
    user: Membership, issue: Issue, now: datetime, settings: Settings
) -> None:
    token, old = issue(user)
    new = rotate(token, at=now)
    first, pepper = next(iter(settings.TOKEN_PEPPERS.items()))
    settings.TOKEN_PEPPERS = {first + 1: b"n" * 32, first: pepper}
    assert works(old, now)
    assert works(new, now)
    assert OldSecret.objects.get().pepper == first + 1
    settings.TOKEN_PEPPERS = {first + 1: b"n" * 32}
    TOKENS.forget_all()
    assert works(old, now)
    assert works(new, now)


def test_process_that_knows_the_secret_of_before_does_not_bring_it_back(
    memory: None, user: Membership, issue: Issue, now: datetime, settings: Settings
) -> None:
    """One that digests anew under a newer pepper than the one by which the token was rotated."""
    token, old = issue(user)
    verify(presented=old.spell(), at=now)
    cached = TOKENS.find(token.pk)
    assert cached is not None
    new = rotate(token, at=now, grace=Grace.NONE)
    first, pepper = next(iter(settings.TOKEN_PEPPERS.items()))
    settings.TOKEN_PEPPERS = {first + 1: b"n" * 32, first: pepper}
    cached.side_effects_done = False
    TOKENS.keep(token.pk, cached, TOKENS.begin(token.pk), seconds=60)
    verify(presented=old.spell(), at=now)  # within its lease
    TOKENS.forget_all()
    assert works(new, now)
    assert answer(old, now) is Refusal.ROTATED


def test_many_old_secrets_are_forgotten_in_parts(
    user: Membership, issue: Issue, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(token_services, "FORGOTTEN_AT_ONCE", 2)
    for _each in range(3):
        rotate(issue(user).token, at=now, grace=Grace.HOUR)
    later = now + HOUR + portal.TOKEN_DIGEST_RETENTION
    assert token_services.forget_digests(by=SYSTEM, at=later) == 3
    events = AuditEvent.objects.filter(kind="token.digests_purged").order_by("pk")
    assert [event.details["count"] for event in events] == [2, 1]


def test_digest_goes_ninety_days_after_the_end(
    user: Membership, issue: Issue, now: datetime
) -> None:
    token, old = issue(user)
    rotate(token, at=now, grace=Grace.HOUR)
    later = now + HOUR + portal.TOKEN_DIGEST_RETENTION
    assert token_services.forget_digests(by=SYSTEM, at=later - timedelta(seconds=1)) == 0
    assert answer(old, later) is Refusal.ROTATED
    assert token_services.forget_digests(by=SYSTEM, at=later) == 1
    TOKENS.forget_all()
    assert answer(old, later) is Refusal.UNKNOWN


def test_ending_the_old_secret_ends_it_alone(user: Membership, issue: Issue, now: datetime) -> None:
    token, old = issue(user)
    new, by = rotate(token, at=now), Actor.member(user)
    assert rotation.end_old_secret(token=token, by=by, at=now)
    assert answer(old, now) is Refusal.ROTATED
    assert works(new, now)
    assert not rotation.end_old_secret(token=token, by=by, at=now)
    assert AuditEvent.objects.filter(kind="token.old_secret_ended").count() == 1


@pytest.mark.parametrize(
    ("prepare", "code"),
    [
        (lambda token, at: {"deleted_at": at}, "deleted"),
        (lambda token, at: {"created_at": at - DAY, "expires_at": at}, "expired"),
    ],
    ids=["deleted", "expired"],
)
def test_token_that_has_ended_is_not_rotated(
    user: Membership, issue: Issue, now: datetime, prepare: Any, code: str
) -> None:
    token, _key = issue(user, at=now - DAY)
    APIToken.objects.filter(pk=token.pk).update(**prepare(token, now))
    with pytest.raises(ValidationError) as refused:
        rotation.rotate(token=token, by=Actor.member(user), at=now)
    assert refused.value.code == code
    assert not OldSecret.objects.exists()


def test_suspended_token_is_not_rotated(user: Membership, issue: Issue, now: datetime) -> None:
    token, _key = issue(user)
    Membership.objects.filter(pk=user.pk).update(tokens_suspended_at=now, sso_at=now)
    with pytest.raises(ValidationError) as refused:
        rotation.rotate(token=token, by=Actor.member(user), at=now)
    assert refused.value.code == "suspended"


@pytest.mark.parametrize(
    ("expires_in", "code"), [(-HOUR, "past"), (timedelta(), "past"), (36_526 * DAY, "too_far")]
)
def test_expiration_that_makes_no_sense_is_refused(
    user: Membership, issue: Issue, now: datetime, expires_in: timedelta, code: str
) -> None:
    token, old = issue(user)
    with pytest.raises(ValidationError) as refused:
        rotate(token, at=now, expires_at=now + expires_in)
    assert refused.value.error_dict["expires_at"][0].code == code
    assert works(old, now)


def test_form_rotates_once(user: Membership, issue: Issue, now: datetime) -> None:
    token, _key = issue(user)
    form_key = uuid4()
    rotate(token, at=now, form_key=form_key)
    with pytest.raises(rotation.AlreadyRotated):
        rotate(token, at=now, form_key=form_key)
    assert APIToken.objects.get(pk=token.pk).rotations == 1


def test_who_did_not_see_the_last_rotation_does_not_undo_it(
    user: Membership, issue: Issue, now: datetime
) -> None:
    token, _key = issue(user)
    new = rotate(token, at=now)
    with pytest.raises(ValidationError) as refused:
        rotation.rotate(token=token, by=Actor.member(user), at=now)  # as it was before
    assert refused.value.code == "rotated_meanwhile"
    assert works(new, now)


# Who may


def test_administrators_and_the_issuer_rotate_and_others_do_not(
    administrator: Membership, engineer: Membership, user: Membership, issue: Issue, now: datetime
) -> None:
    token, _key = issue(engineer)
    for member in (administrator, engineer):
        rotate(token, at=now, by=Actor.member(member))
    stranger = MembershipFactory.create(role=Role.ADMINISTRATORS)
    for outsider in (user, stranger):
        for act in (rotation.rotate, rotation.end_old_secret):
            with pytest.raises(PermissionDenied):
                act(token=APIToken.objects.get(pk=token.pk), by=Actor.member(outsider), at=now)
    refusals = AuditEvent.objects.filter(kind="token.rotate_refused")
    assert refusals.count() == 2


def test_issuer_is_told_that_somebody_else_rotated(
    administrator: Membership, user: Membership, issue: Issue, now: datetime
) -> None:
    token, _key = issue(user, name="Backup")
    by = Actor.member(administrator)
    rotate(token, at=now, by=by)
    rotation.end_old_secret(token=token, by=by, at=now)
    who = administrator.user.get_full_name()
    titles = Notice.objects.filter(user=user.user).order_by("pk").values_list("title", flat=True)
    assert list(titles) == [
        f"“{who}” rotated your API token “Backup”: it has a new secret",
        f"“{who}” ended the old secret of your API token “Backup”",
    ]


def acting_by(key: Key, at: datetime) -> Actor:
    found = verify(presented=key.spell(), at=at)
    member = Membership.objects.select_related("user", "account").get(pk=found.membership_id)
    assert found.token_id is not None
    return Actor.token(
        member,
        token_id=found.token_id,
        role=found.role,
        ends_at=found.expires_at,
        secret_number=found.secret_number,
    )


def test_token_rotates_itself_up_to_its_own_end(
    user: Membership, issue: Issue, now: datetime
) -> None:
    token, key = issue(user, expires_at=now + 3 * DAY)
    for later in (None, now + 4 * DAY):
        with pytest.raises(ValidationError) as refused:
            rotate(token, at=now, by=acting_by(key, now), expires_at=later)
        assert refused.value.error_dict["expires_at"][0].code == "outlives_creator"
    new = rotate(token, at=now, by=acting_by(key, now))
    assert APIToken.objects.get(pk=token.pk).expires_at == now + 3 * DAY
    newest = rotate(token, at=now, by=acting_by(new, now), expires_at=now + DAY)
    assert works(newest, now)
    assert APIToken.objects.get(pk=token.pk).expires_at == now + DAY


def test_old_secret_gets_nobody_the_new_one(user: Membership, issue: Issue, now: datetime) -> None:
    token, old = issue(user)
    stale = acting_by(old, now)
    rotate(token, at=now)
    for by in (stale, acting_by(old, now)):
        with pytest.raises(PermissionDenied, match="old secret"):
            rotate(token, at=now, by=by)


def test_what_an_old_secret_creates_does_not_outlive_it(
    user: Membership, issue: Issue, now: datetime
) -> None:
    token, old = issue(user)
    rotate(token, at=now, grace=Grace.HOUR)
    with pytest.raises(ValidationError) as refused:
        issue(user, by=acting_by(old, now), expires_at=now + 2 * HOUR)
    assert refused.value.error_dict["expires_at"][0].code == "outlives_creator"


def test_token_rotates_none_that_is_stronger_or_outlives_it(
    administrator: Membership, issue: Issue, now: datetime
) -> None:
    strong, _key = issue(administrator, role=Role.ENGINEERS)
    weak = acting(administrator, Role.USERS, at=now)
    with pytest.raises(PermissionDenied):
        rotate(strong, at=now, by=weak)
    ending = acting(administrator, Role.ADMINISTRATORS, at=now, ends_at=now + DAY)
    with pytest.raises(ValidationError) as refused:
        rotate(strong, at=now, by=ending)
    assert refused.value.error_dict["expires_at"][0].code == "outlives_creator"


@pytest.mark.django_db(transaction=True)
def test_of_two_who_rotate_at_the_same_moment_one_wins(
    administrator: Membership, user: Membership, issue: Issue
) -> None:
    token, _key = issue(user)
    tasks = [
        {"member": member.pk, "does": "rotate", "target": token.pk}
        for member in (administrator, user, administrator, user)
    ]
    assert outcomes(tasks) == {"rotated": 1, "rotated_meanwhile": 3}
    token.refresh_from_db()
    assert (token.rotations, OldSecret.objects.count()) == (1, 1)


@pytest.mark.django_db(transaction=True)
def test_token_that_is_deleted_meanwhile_is_neither_edited_nor_rotated_afterwards(
    administrator: Membership, user: Membership, issue: Issue
) -> None:
    token, _key = issue(user)
    tasks = [
        {"member": administrator.pk, "does": "delete_all", "target": user.pk},
        {"member": user.pk, "does": "rotate", "target": token.pk},
        {"member": user.pk, "does": "rename", "target": token.pk},
    ]
    found = outcomes(tasks)
    assert found.pop("deleted all") == 1
    assert set(found) <= {"rotated", "renamed", "deleted"}
    token.refresh_from_db()
    assert token.is_deleted
