"""Issuing: who may give away what, until when, and what is remembered of it."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from uuid import uuid4

import pytest
from django.core.exceptions import PermissionDenied, ValidationError
from pytest_django import Settings

from accounts.authorization.actor import Actor, EntryPoint
from accounts.models import Account, AuditEvent, Membership
from accounts.roles import Role
from apitokens import keys
from apitokens.models import APIToken
from apitokens.tokens import services as token_services
from apitokens.tokens.rules import LONGEST_LIFE
from tests.conftest import Issue
from tests.factories import MembershipFactory, acting

pytestmark = pytest.mark.django_db

PAIRS = [(own, wanted) for own in Role for wanted in Role]
ALLOWED = [(own, wanted) for own, wanted in PAIRS if own.rank <= wanted.rank]
TOO_HIGH = [(own, wanted) for own, wanted in PAIRS if own.rank > wanted.rank]

# The order is the product's; the ids say nothing about it.
STRONGEST_FIRST = [1, 5, 3009, 3022, 2]


def codes(refusal: ValidationError) -> dict[str, list[str | None]]:
    return {field: [each.code for each in errors] for field, errors in refusal.error_dict.items()}


def test_roles_rank_as_the_product_says() -> None:
    assert [role.value for role in sorted(Role, key=lambda role: role.rank)] == STRONGEST_FIRST


def test_every_pair_of_roles_is_either_allowed_or_too_high() -> None:
    assert (len(ALLOWED), len(TOO_HIGH)) == (15, 10)


@pytest.mark.parametrize(("own", "wanted"), ALLOWED)
def test_member_issues_a_token_with_an_equal_or_lower_role(
    account: Account, own: Role, wanted: Role, issue: Issue
) -> None:
    member = MembershipFactory.create(account=account, role=own)
    assert issue(member, role=wanted).token.held_role is wanted


@pytest.mark.parametrize(("own", "wanted"), TOO_HIGH)
def test_member_may_not_issue_a_token_with_a_higher_role(
    account: Account, own: Role, wanted: Role, issue: Issue
) -> None:
    member = MembershipFactory.create(account=account, role=own)
    with pytest.raises(ValidationError) as refused:
        issue(member, role=wanted)
    assert refused.value.message_dict == {"role": [f"Can't create token with role {wanted.label}"]}
    assert codes(refused.value) == {"role": ["role_too_high"]}
    assert not APIToken.objects.exists()


@pytest.mark.parametrize(("own", "wanted"), ALLOWED)
def test_token_issues_a_token_with_an_equal_or_lower_role(
    administrator: Membership, own: Role, wanted: Role, issue: Issue, now: datetime
) -> None:
    assert issue(administrator, by=acting(administrator, own, at=now), role=wanted)


@pytest.mark.parametrize(("own", "wanted"), TOO_HIGH)
def test_token_may_not_issue_beyond_its_own_role_even_for_an_administrator(
    administrator: Membership, own: Role, wanted: Role, issue: Issue, now: datetime
) -> None:
    with pytest.raises(ValidationError) as refused:
        issue(administrator, by=acting(administrator, own, at=now), role=wanted)
    assert codes(refused.value) == {"role": ["role_too_high"]}
    assert not APIToken.objects.exclude(name="Acting").exists()


@pytest.mark.parametrize(("present", "wanted"), TOO_HIGH)
def test_strong_token_may_not_issue_beyond_its_issuers_present_role(
    account: Account, present: Role, wanted: Role, issue: Issue, now: datetime
) -> None:
    member = MembershipFactory.create(account=account, role=present)
    with pytest.raises(ValidationError):
        issue(member, by=acting(member, Role.ADMINISTRATORS, at=now), role=wanted)


def test_role_lost_since_the_request_began_is_not_given_away(
    administrator: Membership, issue: Issue
) -> None:
    Membership.objects.filter(pk=administrator.pk).update(role=Role.USERS)
    with pytest.raises(ValidationError):
        issue(administrator, role=Role.ADMINISTRATORS)


def test_operator_issues_for_a_member_within_that_members_role(
    engineer: Membership, issue: Issue
) -> None:
    operator = Actor.operator(through=EntryPoint.COMMAND)
    assert issue(engineer, by=operator, role=Role.ENGINEERS).token.issuer == engineer


def test_not_even_an_operator_issues_beyond_the_issuers_role(
    engineer: Membership, issue: Issue
) -> None:
    with pytest.raises(ValidationError):
        issue(engineer, by=Actor.operator(through=EntryPoint.COMMAND), role=Role.ADMINISTRATORS)


@pytest.mark.parametrize("role", [0, 3, 4, 6, 3010, -1, 10**20])
def test_unknown_role_is_refused(engineer: Membership, issue: Issue, role: int) -> None:
    with pytest.raises(ValidationError) as refused:
        issue(engineer, role=role)
    assert list(refused.value.message_dict) == ["role"]
    assert not APIToken.objects.exists()


def test_nobody_issues_in_the_name_of_another(
    administrator: Membership, user: Membership, issue: Issue
) -> None:
    with pytest.raises(PermissionDenied, match="for yourself only"):
        issue(user, by=Actor.member(administrator))
    assert not APIToken.objects.exists()


def test_person_who_has_no_account_does_not_pass_for_an_operator(
    user: Membership, issue: Issue
) -> None:
    nobody = Actor(through=EntryPoint.PORTAL, user=user.user)
    with pytest.raises(PermissionDenied):
        issue(user, by=nobody)


@pytest.mark.parametrize("through", [EntryPoint.PORTAL, EntryPoint.API])
def test_operator_uses_no_entry_point_of_members(through: EntryPoint) -> None:
    with pytest.raises(ValueError, match="Operators do not use the entry point"):
        Actor.operator(through=through)


def test_removed_member_issues_nothing(engineer: Membership, issue: Issue, now: datetime) -> None:
    Membership.objects.filter(pk=engineer.pk).update(removed_at=now)
    with pytest.raises(PermissionDenied, match="no longer belong"):
        issue(engineer)


def test_deactivated_user_issues_nothing(engineer: Membership, issue: Issue) -> None:
    engineer.user.is_active = False
    engineer.user.save()
    with pytest.raises(PermissionDenied):
        issue(engineer)


def test_nobody_issues_in_a_closed_account(
    engineer: Membership, issue: Issue, now: datetime
) -> None:
    engineer.account.closed_at = now
    engineer.account.save()
    with pytest.raises(PermissionDenied):
        issue(engineer)


@pytest.mark.parametrize("seconds", [1, 60, 86_400])
def test_token_may_not_be_outlived_by_what_it_creates(
    administrator: Membership, issue: Issue, now: datetime, seconds: int
) -> None:
    ends = now + timedelta(days=30)
    by = acting(administrator, Role.ADMINISTRATORS, at=now, ends_at=ends)
    with pytest.raises(ValidationError) as refused:
        issue(administrator, by=by, expires_at=ends + timedelta(seconds=seconds))
    assert codes(refused.value) == {"expires_at": ["outlives_creator"]}


def test_token_that_ends_may_not_create_one_that_never_does(
    administrator: Membership, issue: Issue, now: datetime
) -> None:
    by = acting(administrator, Role.ADMINISTRATORS, at=now, ends_at=now + timedelta(days=30))
    with pytest.raises(ValidationError) as refused:
        issue(administrator, by=by, expires_at=None)
    assert codes(refused.value) == {"expires_at": ["outlives_creator"]}


def test_token_may_create_one_that_ends_together_with_it(
    administrator: Membership, issue: Issue, now: datetime
) -> None:
    ends = now + timedelta(days=30)
    by = acting(administrator, Role.ADMINISTRATORS, at=now, ends_at=ends)
    assert issue(administrator, by=by, expires_at=ends).token.expires_at == ends


def test_token_that_never_ends_may_create_one_that_never_does(
    administrator: Membership, issue: Issue, now: datetime
) -> None:
    by = acting(administrator, Role.ADMINISTRATORS, at=now)
    assert issue(administrator, by=by, expires_at=None).token.expires_at is None


@pytest.mark.parametrize("ago", [timedelta(0), timedelta(microseconds=1), timedelta(days=9000)])
def test_date_that_has_passed_is_refused(
    user: Membership, issue: Issue, now: datetime, ago: timedelta
) -> None:
    with pytest.raises(ValidationError) as refused:
        issue(user, expires_at=now - ago)
    assert codes(refused.value) == {"expires_at": ["past"]}
    assert not APIToken.objects.exists()


def test_token_may_expire_a_moment_from_now(user: Membership, issue: Issue, now: datetime) -> None:
    assert issue(user, expires_at=now + timedelta(seconds=1))


def test_token_may_expire_in_a_hundred_years(user: Membership, issue: Issue, now: datetime) -> None:
    assert issue(user, expires_at=now + LONGEST_LIFE)


@pytest.mark.parametrize(
    "date", [datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC), datetime(2200, 1, 1, tzinfo=UTC)]
)
def test_date_beyond_a_hundred_years_is_refused(
    user: Membership, issue: Issue, date: datetime
) -> None:
    with pytest.raises(ValidationError) as refused:
        issue(user, expires_at=date)
    assert codes(refused.value) == {"expires_at": ["too_far"]}


@pytest.mark.parametrize("name", ["", " ", "\t\n", "\u00a0", "\u200b", "\u2060\ufeff"])
def test_name_must_show_something(user: Membership, issue: Issue, name: str) -> None:
    with pytest.raises(ValidationError) as refused:
        issue(user, name=name)
    assert list(refused.value.message_dict) == ["name"]


@pytest.mark.parametrize(
    "bad", ["\0", "\x07", "\n", "\r", "\x7f", "\x85", "\u2028", "\ud800", "\u202e"]
)
def test_name_is_one_line_without_control_characters(
    user: Membership, issue: Issue, bad: str
) -> None:
    with pytest.raises(ValidationError) as refused:
        issue(user, name=f"Nightly{bad}backup")
    assert list(refused.value.message_dict) == ["name"]
    assert not APIToken.objects.exists()


@pytest.mark.parametrize(
    "name",
    ["نسخة احتياطية", "缓存预热", "<b>&amp;</b>", "'; DROP TABLE", "👩‍🚀", "%s {} $HOME", "-"],
)
def test_name_may_be_any_visible_text(user: Membership, issue: Issue, name: str) -> None:
    assert issue(user, name=name).token.name == name


def test_name_loses_the_blanks_around_it(user: Membership, issue: Issue) -> None:
    assert issue(user, name="  Nightly backup \u3000").token.name == "Nightly backup"


def test_names_need_not_be_unique(user: Membership, issue: Issue) -> None:
    assert issue(user, name="Twin").token.pk != issue(user, name="Twin").token.pk


def test_name_has_up_to_255_characters(user: Membership, issue: Issue) -> None:
    assert len(issue(user, name="缓" * 255).token.name) == 255
    with pytest.raises(ValidationError) as refused:
        issue(user, name="缓" * 256)
    assert codes(refused.value) == {"name": ["max_length"]}


def test_description_has_up_to_2000_characters(user: Membership, issue: Issue) -> None:
    assert len(issue(user, description="d" * 2000).token.description) == 2000
    with pytest.raises(ValidationError) as refused:
        issue(user, description="d" * 2001)
    assert codes(refused.value) == {"description": ["max_length"]}


def test_description_may_have_several_lines(user: Membership, issue: Issue) -> None:
    assert issue(user, description="1.\tone\n2.\ttwo").token.description == "1.\tone\n2.\ttwo"


@pytest.mark.parametrize("bad", ["\0", "\x07", "\x1b[31m", "\ud800", "\u202e"])
def test_description_has_no_control_characters(user: Membership, issue: Issue, bad: str) -> None:
    with pytest.raises(ValidationError) as refused:
        issue(user, description=f"one{bad}two")
    assert list(refused.value.message_dict) == ["description"]


def test_everything_that_is_wrong_is_told_at_once(
    user: Membership, issue: Issue, now: datetime
) -> None:
    with pytest.raises(ValidationError) as refused:
        issue(user, name="", role=Role.ADMINISTRATORS, expires_at=now)
    assert set(refused.value.message_dict) == {"name", "role", "expires_at"}


def test_only_a_digest_of_the_secret_is_stored(user: Membership, issue: Issue) -> None:
    token, key = issue(user)
    row = APIToken.objects.filter(pk=token.pk).values().get()
    assert bytes(row["digest"] or b"") not in (b"", bytes.fromhex(key.secret))
    assert key.secret not in repr(row)


def test_digest_is_made_under_the_newest_pepper(
    user: Membership, issue: Issue, settings: Settings
) -> None:
    settings.TOKEN_PEPPERS = {9: b"n" * 32, 2: b"o" * 32}
    token, key = issue(user)
    stored = APIToken.objects.get(pk=token.pk)
    assert stored.pepper == 9
    assert bytes(stored.digest or b"") == keys.digest(key, b"n" * 32)


def test_secret_does_not_show_in_what_the_verb_returns(user: Membership, issue: Issue) -> None:
    issued = issue(user)
    assert issued.key.secret not in f"{issued!r} {issued} {vars(issued.token)}"


def test_ids_are_drawn_and_not_counted(user: Membership, issue: Issue) -> None:
    ids = [issue(user).token.pk for _each in range(10)]
    assert len(set(ids)) == 10
    assert all(10**8 <= token_id < 10**9 for token_id in ids)
    assert all(second - first != 1 for first, second in pairwise(ids))


def test_drawn_id_that_is_taken_is_drawn_again(
    user: Membership, issue: Issue, monkeypatch: pytest.MonkeyPatch
) -> None:
    taken = issue(user).token.pk
    draws = iter([taken, taken, 555_555_555])
    monkeypatch.setattr("apitokens.tokens.services.draw_id", lambda: next(draws))
    monkeypatch.setattr(APIToken._meta.pk, "_get_default", lambda: taken)
    assert issue(user).token.pk == 555_555_555


def test_form_is_good_for_one_token(user: Membership, issue: Issue) -> None:
    form_key = uuid4()
    first = issue(user, form_key=form_key)
    with pytest.raises(token_services.AlreadyIssued) as refused:
        issue(user, form_key=form_key, name="Other")
    assert refused.value.token == first.token
    assert APIToken.objects.count() == 1


def test_form_stays_used_after_its_token_was_deleted(
    user: Membership, issue: Issue, now: datetime
) -> None:
    form_key = uuid4()
    token_services.delete(token=issue(user, form_key=form_key).token, by=Actor.member(user), at=now)
    with pytest.raises(token_services.AlreadyIssued):
        issue(user, form_key=form_key)


def test_form_that_was_refused_may_be_sent_again(user: Membership, issue: Issue) -> None:
    form_key = uuid4()
    with pytest.raises(ValidationError):
        issue(user, form_key=form_key, name="")
    assert issue(user, form_key=form_key, name="Nightly backup")


def test_two_members_forms_do_not_meet(
    user: Membership, engineer: Membership, issue: Issue
) -> None:
    form_key = uuid4()
    issue(user, form_key=form_key)
    assert issue(engineer, form_key=form_key)


def test_issue_leaves_an_event(engineer: Membership, issue: Issue, now: datetime) -> None:
    expires = now + timedelta(days=5)
    by = Actor.member(engineer, address="192.0.2.7")
    token, _key = issue(engineer, by=by, name="CI", role=Role.USERS, expires_at=expires)
    event = AuditEvent.objects.get(kind="token.issued")
    assert (event.at, event.user, event.account, event.address, event.through) == (
        now,
        engineer.user,
        engineer.account,
        "192.0.2.7",
        "portal",
    )
    assert (event.subject_type, event.subject_id, event.through_token) == (
        "apitoken",
        token.pk,
        None,
    )
    assert event.details == {
        "name": "CI",
        "role": "Users",
        "issuer": engineer.user_id,
        "expires_at": expires.isoformat(),
    }


def test_event_names_the_token_that_acted(
    administrator: Membership, issue: Issue, now: datetime
) -> None:
    by = acting(administrator, Role.ADMINISTRATORS, at=now)
    made = issue(administrator, by=by).token
    event = AuditEvent.objects.get(kind="token.issued", subject_id=made.pk)
    assert (event.through, event.through_token) == ("api", by.token_id)


def test_event_holds_no_secret(engineer: Membership, issue: Issue) -> None:
    _token, key = issue(engineer)
    assert key.secret not in repr(list(AuditEvent.objects.values()))


def test_token_whose_event_cannot_be_written_is_not_issued(
    engineer: Membership, issue: Issue, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_args: object, **_kwargs: object) -> None:
        raise RuntimeError

    monkeypatch.setattr("accounts.audit.recorder.record", fail)
    with pytest.raises(RuntimeError):
        issue(engineer)
    assert not APIToken.objects.exists()


def test_refusal_of_a_role_is_remembered(user: Membership, issue: Issue) -> None:
    with pytest.raises(ValidationError):
        issue(user, role=Role.ADMINISTRATORS)
    event = AuditEvent.objects.get(kind="token.issue_refused")
    assert (event.user, event.account) == (user.user, user.account)
    assert event.details == {"code": "role_too_high", "role": Role.ADMINISTRATORS}


def test_refusal_to_be_outlived_is_remembered(
    administrator: Membership, issue: Issue, now: datetime
) -> None:
    by = acting(administrator, Role.ADMINISTRATORS, at=now, ends_at=now + timedelta(days=1))
    with pytest.raises(ValidationError):
        issue(administrator, by=by)
    event = AuditEvent.objects.get(kind="token.issue_refused")
    assert (event.details["code"], event.through_token) == ("outlives_creator", by.token_id)


def test_slip_of_the_keyboard_leaves_no_event(user: Membership, issue: Issue) -> None:
    with pytest.raises(ValidationError):
        issue(user, name="")
    assert not AuditEvent.objects.exists()
