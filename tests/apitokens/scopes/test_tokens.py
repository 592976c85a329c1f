"""Tokens that are limited to scopes: issued, edited, rotated, handed over."""

from collections.abc import Collection
from datetime import datetime

import pytest
from django.core.exceptions import PermissionDenied, ValidationError

from accounts.authorization.actor import Actor, EntryPoint
from accounts.authorization.recheck import reauthorize
from accounts.models import AuditEvent, Membership
from accounts.roles import Role
from apitokens.models import APIToken
from apitokens.scopes.services import ScopeFacts, register
from apitokens.scopes.words import MOST_SCOPES
from apitokens.tokens import editing, rotation
from apitokens.tokens import services as tokens
from apitokens.tokens.handover import hand_over
from notifications.models import Notice
from tests.conftest import Issue
from tests.factories import issue as issue_for

OPERATOR = Actor.operator(through=EntryPoint.COMMAND)
WRITE = ["tokens:read", "tokens:write"]


@pytest.fixture(autouse=True)
def cdn(administrator: Membership, now: datetime) -> None:
    scopes = [ScopeFacts("purge", "Purge"), ScopeFacts("read", "Read")]
    register(
        account=administrator.account,
        code="cdn",
        name="CDN",
        scopes=scopes,
        by=OPERATOR,
        at=now,
    )


def acting(token: APIToken) -> Actor:
    """The actor that authentication makes of the token now."""
    return Actor.token(
        token.issuer,
        token_id=token.pk,
        role=token.held_role,
        ends_at=None,
        secret_number=token.rotations,
        scopes=token.scopes,
    )


def scopes_of(token: APIToken) -> list[str] | None:
    return APIToken.objects.get(pk=token.pk).held_scopes


def test_token_has_all_that_its_role_allows_unless_it_is_limited(
    engineer: Membership, issue: Issue
) -> None:
    assert scopes_of(issue(engineer).token) is None
    assert scopes_of(issue(engineer, scopes=["cdn:read", "cdn:purge", "cdn:read"]).token) == [
        "cdn:purge",
        "cdn:read",
    ]
    assert AuditEvent.objects.filter(kind="token.issued").last().details["scopes"] == (  # type: ignore[union-attr]  # there is one
        "cdn:purge cdn:read"
    )


@pytest.mark.parametrize(
    ("scopes", "code"),
    [
        ([], "required"),
        (["cdn:other"], "unknown"),
        (["cdn"], "unknown"),
        (["video:read"], "unknown"),
        (["cdn:purge\0"], "unknown"),
        (["cdn:purge cdn:read"], "unknown"),
        (["cdn:purge " * 1000], "too_many"),
        ([f"cdn:s{number}" for number in range(MOST_SCOPES + 1)], "too_many"),
    ],
)
def test_what_is_no_scope_is_refused(
    engineer: Membership, issue: Issue, now: datetime, scopes: list[str], code: str
) -> None:
    with pytest.raises(ValidationError) as refused:
        issue(engineer, scopes=scopes)
    assert [each.code for each in refused.value.error_dict["scopes"]] == [code]
    assert len(str(refused.value)) < 300
    token = issue(engineer, scopes=["cdn:read"]).token
    with pytest.raises(ValidationError):
        editing.edit(token=token, changes={"scopes": scopes}, by=OPERATOR, at=now)
    assert scopes_of(token) == ["cdn:read"]


@pytest.mark.parametrize("scopes", [None, ["cdn:purge"], [*WRITE, "cdn:purge"]])
def test_token_gives_no_more_than_it_has(
    engineer: Membership, issue: Issue, now: datetime, scopes: list[str] | None
) -> None:
    by = acting(issue(engineer, scopes=WRITE).token)
    with pytest.raises(ValidationError) as refused:
        issue_for(engineer, at=now, by=by, scopes=scopes)
    assert [each.code for each in refused.value.error_dict["scopes"]] == ["scope_too_wide"]
    refusal = AuditEvent.objects.get(kind="token.issue_refused")
    assert refusal.details["code"] == "scope_too_wide"
    own = issue(engineer, scopes=WRITE).token
    with pytest.raises(ValidationError):
        editing.edit(token=own, changes={"scopes": scopes}, by=by, at=now)
    assert scopes_of(own) == WRITE
    assert issue_for(engineer, at=now, by=by, scopes=["tokens:read"])


def test_token_without_the_scope_creates_none(
    engineer: Membership, issue: Issue, now: datetime
) -> None:
    by = acting(issue(engineer, scopes=["tokens:read"]).token)
    with pytest.raises(PermissionDenied):
        issue_for(engineer, at=now, by=by, scopes=["tokens:read"])


@pytest.mark.parametrize("scopes", [None, ["cdn:purge"], [*WRITE, "cdn:purge"]])
def test_token_acts_on_none_that_may_do_more(
    administrator: Membership, issue: Issue, now: datetime, scopes: list[str] | None
) -> None:
    """To rotate it would be to get its secret."""
    mine = issue(administrator, role=Role.ADMINISTRATORS, scopes=WRITE).token
    by, other = acting(mine), issue(administrator, scopes=scopes).token
    for act in (
        lambda: rotation.rotate(token=other, by=by, at=now),
        lambda: editing.edit(token=other, changes={"name": "X"}, by=by, at=now),
        lambda: tokens.delete(token=other, by=by, at=now),
        lambda: tokens.delete_all_of(issuer=administrator, by=by, at=now),
    ):
        with pytest.raises(PermissionDenied):
            act()
    assert not APIToken.objects.get(pk=other.pk).is_deleted


def test_token_hands_over_none_that_may_do_more(
    administrator: Membership, engineer: Membership, issue: Issue, now: datetime
) -> None:
    by = acting(issue(administrator, role=Role.ADMINISTRATORS, scopes=WRITE).token)
    wider = issue(engineer).token
    with pytest.raises(PermissionDenied):
        hand_over(account=engineer.account, token_ids=[wider.pk], to=administrator, by=by, at=now)
    assert APIToken.objects.get(pk=wider.pk).issuer_id == engineer.pk


def test_token_acts_on_those_that_may_do_no_more(
    engineer: Membership, issue: Issue, now: datetime
) -> None:
    by = acting(issue(engineer, scopes=WRITE).token)
    other = issue(engineer, scopes=["tokens:read"]).token
    rotation.rotate(token=other, by=by, at=now)
    editing.edit(token=other, changes={"scopes": WRITE}, by=by, at=now)
    assert tokens.delete(token=other, by=by, at=now)


def test_rotation_and_handover_keep_the_scopes(
    administrator: Membership, engineer: Membership, issue: Issue, now: datetime
) -> None:
    token = issue(engineer, scopes=["cdn:purge"]).token
    rotation.rotate(token=token, by=Actor.member(engineer), at=now)
    hand_over(
        account=engineer.account,
        token_ids=[token.pk],
        to=administrator,
        by=Actor.member(administrator),
        at=now,
    )
    assert scopes_of(token) == ["cdn:purge"]


@pytest.mark.parametrize("wanted", [None, ["cdn:read"], ["cdn:purge", "tokens:read"]])
def test_issuer_gives_a_token_other_scopes(
    engineer: Membership, issue: Issue, now: datetime, wanted: Collection[str] | None
) -> None:
    token = issue(engineer, scopes=["cdn:purge"]).token
    by = Actor.member(engineer)
    edited = editing.edit(token=token, changes={"scopes": wanted}, by=by, at=now)
    assert edited.held_scopes == (None if wanted is None else sorted(wanted))
    details = AuditEvent.objects.get(kind="token.edited").details
    assert details["former_scopes"] == "cdn:purge"
    assert details["scopes"] == edited.scopes


def test_issuer_is_told_that_another_one_changed_the_scopes(
    administrator: Membership, engineer: Membership, issue: Issue, now: datetime
) -> None:
    token = issue(engineer).token
    by = Actor.member(administrator)
    editing.edit(token=token, changes={"scopes": ["cdn:read"]}, by=by, at=now)
    assert Notice.objects.filter(user=engineer.user, title__contains="edited").exists()


def test_token_whose_scopes_were_taken_away_meanwhile_may_not_go_on(
    engineer: Membership, issue: Issue, now: datetime
) -> None:
    token = issue(engineer, scopes=WRITE).token
    early = acting(token)
    editing.edit(token=token, changes={"scopes": ["tokens:read"]}, by=OPERATOR, at=now)
    with pytest.raises(PermissionDenied, match="fewer scopes"):
        reauthorize(early, now)
    unlimited = issue(engineer).token
    early = acting(unlimited)
    editing.edit(token=unlimited, changes={"scopes": WRITE}, by=OPERATOR, at=now)
    with pytest.raises(PermissionDenied):
        issue_for(engineer, at=now, by=early)
