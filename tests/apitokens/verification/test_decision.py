"""What happens to a presented key: every combination of what may be known of it."""

from dataclasses import fields
from datetime import UTC, datetime, timedelta
from itertools import product
from typing import Any

import pytest

from apitokens import keys
from apitokens.addresses.networks import AddressList
from apitokens.verification import token_lookup
from apitokens.verification.decision import (
    ACCEPT,
    ACCEPT_AND_RECORD,
    ANYWHERE,
    CHECK_ADDRESS,
    LOOK_UP,
    REFUSE,
    REFUSE_AND_AUDIT,
    UNKNOWN,
    Action,
    Anywhere,
    CacheEntry,
    Decision,
    Reason,
    decide,
    decide_address,
)

NOON = datetime(2026, 5, 4, 12, tzinfo=UTC)
INSTANT, HOUR = timedelta(microseconds=1), timedelta(hours=1)

LASTING = (None, Reason.DELETED, Reason.ISSUER_INACTIVE, Reason.SUSPENDED)
ENDS = {None: False, NOON - HOUR: True, NOON: True, NOON + INSTANT: False, NOON + HOUR: False}
"""Moments of expiration, and whether they have come at noon."""
AUDITED = {None: False, NOON - 2 * HOUR: False, NOON - HOUR: False, NOON - HOUR + INSTANT: True}
"""When a refusal was audited, and whether that is less than an hour ago at noon."""
MARKS = (False, True)


def entries(*, exists: bool = True) -> list[CacheEntry]:
    """An entry for each combination of all that an entry may say."""
    return [
        CacheEntry(
            exists=exists,
            reason=reason,
            expires_at=ends_at,
            refusal_audited_at=audited_at,
            side_effects_done=done,
            saw_wrong_secret=wrong,
        )
        for reason, ends_at, audited_at, done, wrong in product(
            LASTING, ENDS, AUDITED, MARKS, MARKS
        )
    ]


def test_id_that_is_not_cached_is_looked_up() -> None:
    for fits, is_fresh in product(MARKS, MARKS):
        assert decide(None, fits=fits, at=NOON, is_fresh=is_fresh) is LOOK_UP


@pytest.mark.parametrize(("exists", "fits"), [(True, False), (False, False), (False, True)])
def test_wrong_secret_and_unknown_id_are_decided_alike(exists: bool, fits: bool) -> None:
    """The first is looked up, whatever is known; what was looked up is unknown."""
    for entry in entries(exists=exists):
        cached = UNKNOWN if entry.saw_wrong_secret else LOOK_UP
        assert decide(entry, fits=fits, at=NOON) is cached
        assert decide(entry, fits=fits, at=NOON, is_fresh=True) is UNKNOWN


@pytest.mark.parametrize("is_fresh", MARKS)
def test_right_secret_is_decided_by_what_the_row_said_and_the_time(is_fresh: bool) -> None:
    for entry in entries():
        has_expired = ENDS[entry.expires_at] and entry.reason is not Reason.DELETED
        reason = Reason.EXPIRED if has_expired else entry.reason
        if reason is None:
            expected = ACCEPT if entry.side_effects_done else ACCEPT_AND_RECORD
        else:
            is_audited = AUDITED[entry.refusal_audited_at]
            expected = (REFUSE if is_audited else REFUSE_AND_AUDIT)[reason]
        assert decide(entry, fits=True, at=NOON, is_fresh=is_fresh) is expected


PLACES: dict[str | Anywhere | None, bool] = {
    "203.0.113.7": True,
    "198.51.100.7": False,
    None: False,
    ANYWHERE: True,
}
"""Clients' addresses, and whether the list allows them."""


@pytest.mark.parametrize("address", PLACES)
@pytest.mark.parametrize("is_fresh", MARKS)
def test_address_decides_about_what_is_good_and_about_nothing_else(
    address: str | Anywhere | None, is_fresh: bool
) -> None:
    for entry in entries():
        unlimited = decide(entry, fits=True, at=NOON, is_fresh=is_fresh)
        entry.allowed = AddressList("203.0.113.7\n2001:db8::/48")
        limited = decide(entry, fits=True, at=NOON, is_fresh=is_fresh)
        assert decide(entry, fits=False, at=NOON, is_fresh=True) is UNKNOWN
        if unlimited.reason is not None:
            assert limited is unlimited
            continue
        assert limited is CHECK_ADDRESS
        decided = decide_address(entry, address=address, at=NOON)
        if PLACES[address]:
            assert decided is unlimited
        else:
            is_audited = AUDITED[entry.refusal_audited_at]
            refuse = REFUSE if is_audited else REFUSE_AND_AUDIT
            assert decided is refuse[Reason.ADDRESS_NOT_ALLOWED]


@pytest.mark.parametrize(
    ("lasting", "expires_at", "told"),
    [
        (None, NOON + INSTANT, None),
        (None, NOON, Reason.EXPIRED),
        (Reason.DELETED, NOON + INSTANT, Reason.DELETED),
        (Reason.DELETED, NOON, Reason.DELETED),
        (Reason.ISSUER_INACTIVE, NOON + INSTANT, Reason.ISSUER_INACTIVE),
        (Reason.ISSUER_INACTIVE, NOON, Reason.EXPIRED),
        (Reason.SUSPENDED, NOON + INSTANT, Reason.SUSPENDED),
        (Reason.SUSPENDED, NOON, Reason.EXPIRED),
    ],
)
def test_of_several_reasons_one_is_told(
    lasting: Reason | None, expires_at: datetime, told: Reason | None
) -> None:
    entry = CacheEntry(exists=True, reason=lasting, expires_at=expires_at)
    assert decide(entry, fits=True, at=NOON).reason is told


DAY = timedelta(days=1)
ENDS_OF_A_ROW: dict[str, dict[str, Any]] = {
    "deleted": {"deleted_at": NOON - DAY},
    "expired": {"expires_at": NOON - DAY},
    "removed": {"issuer__removed_at": NOON - DAY},
    "switched off": {"issuer__user__is_active": False},
    "closed": {"account__closed_at": NOON - DAY},
    "suspended": {"issuer__tokens_suspended_at": NOON - DAY},
}


@pytest.mark.parametrize(
    ("ends", "told"),
    [
        (["deleted", "expired"], Reason.DELETED),
        (["deleted", "switched off"], Reason.DELETED),
        (["deleted", "removed"], Reason.DELETED),
        (["deleted", "closed"], Reason.DELETED),
        (["deleted", "suspended"], Reason.DELETED),
        (["deleted", "expired", "switched off", "suspended"], Reason.DELETED),
        (["expired", "switched off"], Reason.EXPIRED),
        (["expired", "removed"], Reason.EXPIRED),
        (["expired", "closed"], Reason.EXPIRED),
        (["expired", "suspended"], Reason.EXPIRED),
        (["expired", "switched off", "suspended"], Reason.EXPIRED),
        (["switched off", "suspended"], Reason.ISSUER_INACTIVE),
        (["removed", "suspended"], Reason.ISSUER_INACTIVE),
        (["closed", "suspended"], Reason.ISSUER_INACTIVE),
        (["suspended"], Reason.SUSPENDED),
        ([], None),
    ],
)
def test_of_several_ends_of_a_row_one_is_told(ends: list[str], told: Reason | None) -> None:
    facts = {name: value for end in ends for name, value in ENDS_OF_A_ROW[end].items()}
    row = token_lookup._Row(*token_lookup._NO_ROW)._replace(**facts)
    entry = token_lookup._entry(5, row)
    assert decide(entry, fits=True, at=NOON).reason is told


def test_refused_key_is_never_accepted_and_only_the_right_secret_learns_why() -> None:
    accepted = {Action.ACCEPT, Action.ACCEPT_AND_RECORD}
    for exists, fits, is_fresh in product(MARKS, MARKS, MARKS):
        for entry in entries(exists=exists):
            decision = decide(entry, fits=fits, at=NOON, is_fresh=is_fresh)
            if decision.action in accepted:
                assert exists
                assert fits
                assert entry.reason is None
                assert not ENDS[entry.expires_at]
            if decision.reason not in (None, Reason.UNKNOWN):
                assert exists
                assert fits


def test_deciding_changes_nothing() -> None:
    for entry in entries():
        before = [getattr(entry, each.name) for each in fields(entry)]
        decide(entry, fits=True, at=NOON)
        assert [getattr(entry, each.name) for each in fields(entry)] == before


@pytest.mark.parametrize(
    ("decision", "needs_database"),
    [
        (LOOK_UP, True),
        (ACCEPT, False),
        (ACCEPT_AND_RECORD, True),
        (UNKNOWN, False),
        *((REFUSE[reason], False) for reason in Reason),
        *((REFUSE_AND_AUDIT[reason], True) for reason in Reason),
    ],
)
def test_decision_says_whether_it_needs_the_database(
    decision: Decision, needs_database: bool
) -> None:
    assert decision.action.needs_database is needs_database


@pytest.mark.parametrize(
    "mark", [{"side_effects_done": True}, {"refusal_audited_at": NOON}, {"saw_wrong_secret": True}]
)
def test_effect_of_a_decision_makes_the_next_one_need_no_database(mark: dict[str, object]) -> None:
    """The transitions of the state machine, each with the decision that demands it."""
    (name,) = mark
    entry = CacheEntry(exists=True)
    if name == "refusal_audited_at":
        entry.reason = Reason.DELETED
    fits = name != "saw_wrong_secret"
    assert decide(entry, fits=fits, at=NOON).action.needs_database
    setattr(entry, name, mark[name])
    assert not decide(entry, fits=fits, at=NOON).action.needs_database


def test_entry_matches_its_key_only() -> None:
    key, pepper = keys.make(771_142_358), b"p" * 32
    entry = CacheEntry(exists=True, digest=keys.digest(key, pepper), pepper=pepper)
    assert entry.matches(key)
    for other in (keys.make(key.id), keys.Key(key.id + 1, key.secret)):
        assert not entry.matches(other)
    assert not CacheEntry().matches(key)


def test_entry_shows_no_pepper() -> None:
    assert "sesame" not in repr(CacheEntry(pepper=b"sesame"))


@pytest.mark.parametrize(
    ("ends_at", "token_ends_at", "told"),
    [
        (NOON + INSTANT, None, None),
        (NOON, None, Reason.ROTATED),
        (NOON - HOUR, NOON + INSTANT, Reason.ROTATED),
        (NOON - HOUR, NOON, Reason.EXPIRED),
        (NOON, NOON, Reason.EXPIRED),
    ],
)
def test_old_secret_ends_before_its_token_or_with_it(
    ends_at: datetime, token_ends_at: datetime | None, told: Reason | None
) -> None:
    facts: dict[str, Any] = {"expires_at": ends_at, "token_expires_at": token_ends_at}
    old = CacheEntry(exists=True, is_old=True, **facts)
    assert decide(old, fits=True, at=NOON).reason is told
    deleted = CacheEntry(exists=True, is_old=True, reason=Reason.DELETED, **facts)
    assert decide(deleted, fits=True, at=NOON).reason is Reason.DELETED
