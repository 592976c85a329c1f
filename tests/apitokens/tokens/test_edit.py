"""Editing: name and description, an earlier expiration, a lower role, and nothing more."""

from datetime import datetime, timedelta

import pytest
from django.core.exceptions import PermissionDenied, ValidationError

from accounts.authorization.actor import Actor
from accounts.models import AuditEvent, Membership
from accounts.roles import Role
from apitokens.models import APIToken
from apitokens.tokens import editing
from apitokens.tokens import services as token_services
from apitokens.tokens.editing import Changes
from apitokens.verification.verify import verify
from notifications.models import Notice
from tests.conftest import Issue
from tests.factories import MembershipFactory, acting

pytestmark = pytest.mark.django_db

DAY = timedelta(days=1)
PAIRS = [(own, wanted) for own in Role for wanted in Role]


def edit(token: APIToken, changes: Changes, *, at: datetime, by: Actor | None = None) -> APIToken:
    actor = by or Actor.member(token.issuer)
    return editing.edit(token=token, changes=changes, by=actor, at=at)


def test_edit_changes_what_it_names_and_leaves_an_event(
    user: Membership, issue: Issue, now: datetime
) -> None:
    token, key = issue(user, name="Backup", description="Old")
    edit(token, {"name": " Restore ", "description": "New", "expires_at": now + DAY}, at=now)
    token.refresh_from_db()
    found = (token.name, token.description, token.expires_at)
    assert found == ("Restore", "New", now + DAY)
    assert verify(presented=key.spell(), at=now).expires_at == now + DAY
    event = AuditEvent.objects.get(kind="token.edited")
    assert event.details == {
        "name": "Restore",
        "former_name": "Backup",
        "former_expires_at": None,
        "expires_at": (now + DAY).isoformat(),
        "is_description_changed": True,
    }


def test_edit_that_changes_nothing_leaves_no_trace(
    administrator: Membership, user: Membership, issue: Issue, now: datetime
) -> None:
    token, _key = issue(user, name="Backup")
    edit(token, {"name": "Backup", "role": Role.USERS}, at=now, by=Actor.member(administrator))
    assert not AuditEvent.objects.filter(kind="token.edited").exists()
    assert not Notice.objects.exists()


@pytest.mark.parametrize(("own", "wanted"), PAIRS)
def test_role_is_lowered_and_never_raised(
    administrator: Membership, issue: Issue, now: datetime, own: Role, wanted: Role
) -> None:
    token, key = issue(administrator, role=own)
    if own.covers(wanted):
        edit(token, {"role": wanted}, at=now)
        assert verify(presented=key.spell(), at=now).role is wanted
        return
    with pytest.raises(ValidationError) as refused:
        edit(token, {"role": wanted}, at=now)
    assert refused.value.error_dict["role"][0].code == "role_raised"
    assert verify(presented=key.spell(), at=now).role is own
    assert AuditEvent.objects.get(kind="token.edit_refused").details["code"] == "role_raised"


@pytest.mark.parametrize(
    ("present", "wanted", "code"),
    [
        (5 * DAY, 4 * DAY, None),
        (None, 4 * DAY, None),
        (5 * DAY, 6 * DAY, "expiration_later"),
        (5 * DAY, None, "expiration_later"),
        (5 * DAY, -DAY, "past"),
        (None, timedelta(), "past"),
        (None, 36_526 * DAY, "too_far"),
    ],
)
def test_expiration_only_moves_nearer(
    user: Membership,
    issue: Issue,
    now: datetime,
    present: timedelta | None,
    wanted: timedelta | None,
    code: str | None,
) -> None:
    token, _key = issue(user, expires_at=present and now + present)
    changes: Changes = {"expires_at": None if wanted is None else now + wanted}
    if code is None:
        assert edit(token, changes, at=now).expires_at == changes["expires_at"]
        return
    with pytest.raises(ValidationError) as refused:
        edit(token, changes, at=now)
    assert refused.value.error_dict["expires_at"][0].code == code


def test_earlier_expiration_brings_its_notices_forward(
    user: Membership, issue: Issue, now: datetime
) -> None:
    token, _key = issue(user)
    edit(token, {"expires_at": now + 3 * DAY}, at=now)
    assert APIToken.objects.get().notice_due_at == now + 2 * DAY


def test_bad_text_is_refused(user: Membership, issue: Issue, now: datetime) -> None:
    token, _key = issue(user)
    bad: list[tuple[str, Changes]] = [
        ("name", {"name": " "}),
        ("name", {"name": "a\x07b"}),
        ("name", {"name": "n" * 256}),
        ("description", {"description": "d" * 2001}),
        ("description", {"description": "\x00"}),
    ]
    for field, changes in bad:
        with pytest.raises(ValidationError) as refused:
            edit(token, changes, at=now)
        assert list(refused.value.error_dict) == [field]


def test_administrators_and_the_issuer_edit_and_others_do_not(
    administrator: Membership, engineer: Membership, user: Membership, issue: Issue, now: datetime
) -> None:
    token, _key = issue(engineer, role=Role.ENGINEERS)
    for number, member in enumerate((administrator, engineer)):
        edit(token, {"name": f"Name {number}"}, at=now, by=Actor.member(member))
    strangers = [
        Actor.member(user),
        Actor.member(MembershipFactory.create(role=Role.ADMINISTRATORS)),
        acting(engineer, Role.USERS, at=now),
    ]
    for stranger in strangers:
        with pytest.raises(PermissionDenied):
            edit(token, {"name": "Mine"}, at=now, by=stranger)
    assert APIToken.objects.get(pk=token.pk).name == "Name 1"
    assert AuditEvent.objects.filter(kind="token.edit_refused").count() == len(strangers)


def test_issuer_is_told_that_somebody_else_edited(
    administrator: Membership, user: Membership, issue: Issue, now: datetime
) -> None:
    token, _key = issue(user, name="Backup")
    edit(token, {"role": Role.USERS, "name": "B"}, at=now, by=Actor.member(administrator))
    who = administrator.user.get_full_name()
    assert [notice.title for notice in Notice.objects.filter(user=user.user)] == [
        f"“{who}” edited your API token “B”"
    ]


def test_deleted_token_is_not_edited(user: Membership, issue: Issue, now: datetime) -> None:
    token, _key = issue(user)
    token_services.delete(token=token, by=Actor.member(user), at=now)
    with pytest.raises(ValidationError) as refused:
        edit(token, {"name": "New"}, at=now)
    assert refused.value.code == "deleted"


def test_name_in_other_letters_of_the_same_look_is_no_change(
    user: Membership, issue: Issue, now: datetime
) -> None:
    """As keyboards of some systems send it: decomposed. It is stored composed."""
    token = issue(user, name="Caf\u00e9", description="\u00fcber").token
    before = AuditEvent.objects.count()
    edit(token, {"name": "Cafe\u0301", "description": "u\u0308ber"}, at=now)
    assert AuditEvent.objects.count() == before
