"""Decides what happens to a key that is presented, from what the process knows of it.

Pure: no database, clock or request. API tokens and verifier keys are decided alike; reading rows,
writing and wording are left to the services (`verify`, `verifier_keys`).
"""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum, StrEnum
from typing import NamedTuple

from apitokens import keys
from apitokens.addresses.networks import AddressList

AUDITED_EVERY = timedelta(hours=1)
"""A busy client with a dead token must not fill the audit log."""

NO_DIGEST = bytes(keys.DIGEST_BYTES)


class Reason(StrEnum):
    """Reasons to refuse a key. Only `UNKNOWN` is told without the right secret."""

    UNKNOWN = "unknown"
    DELETED = "deleted"
    EXPIRED = "expired"
    ISSUER_INACTIVE = "issuer_inactive"
    SUSPENDED = "suspended"
    """The issuer may sign in, but their tokens may not be used."""
    ROTATED = "rotated"
    """The token has a new secret, and this is the old one, whose time has passed."""
    ADDRESS_NOT_ALLOWED = "address_not_allowed"
    """The token is good, but not from this address."""


class Anywhere(Enum):
    NOT_ASKED = "not asked"


ANYWHERE = Anywhere.NOT_ASKED
"""Stands for the address of a client where nobody asks about it."""


@dataclass(slots=True)
class CacheEntry:
    """The facts of a key as one read of its row found them, until the lease ends. An id without a
    row has an entry too, which no secret fits.

    The state machine: an entry is replaced by a read (`Action.LOOK_UP`) and leaves the cache when
    its lease ends or the key is changed in this process. What the row said stays as it was read.
    Three marks change, each of them forwards only, so that threads which race at worst repeat an
    idempotent effect:

    mark                 from → to      by                      from then on
    `side_effects_done`  False → True   `ACCEPT_AND_RECORD`     accepted without any write
    `refusal_audited_at` earlier → now  `REFUSE_AND_AUDIT`      refused without a write for an hour
    `saw_wrong_secret`   False → True   `UNKNOWN` after a read  wrong secrets refused without a read

    The first wrong secret is looked up even though the entry is in the cache: how long the answer
    takes must not tell whether the token of this id is in use.
    """

    exists: bool = False
    digest: bytes = NO_DIGEST
    pepper: bytes = field(default=NO_DIGEST, repr=False)
    reason: Reason | None = None
    """The reason to refuse the key at any time; expiration is compared with the time."""
    expires_at: datetime | None = None
    """The end of what is accepted; of an old secret it may come before that of the token."""
    token_expires_at: datetime | None = None
    is_old: bool = False
    allowed: AddressList | None = None
    """From where the key may be used; None: from everywhere."""
    refusal_audited_at: datetime | None = None
    is_forgotten: bool = False
    """The digest was dropped: nothing can be its secret, and who shows one guesses nothing."""
    side_effects_done: bool = False
    saw_wrong_secret: bool = False

    def matches(self, key: keys.Key) -> bool:
        """Compare once and in constant time, whether the row exists or not."""
        return keys.matches(key, stored=self.digest, pepper=self.pepper)

    def end_reason(self, at: datetime) -> Reason:
        """The reason to refuse the key after `expires_at`."""
        ends_at = self.token_expires_at
        is_outlived = self.is_old and (ends_at is None or ends_at > at)
        return Reason.ROTATED if is_outlived else Reason.EXPIRED


def compare_with_nothing(key: keys.Key) -> None:
    """Do the same work as `CacheEntry.matches` for an id that is not cached, so that timing does
    not tell which ids are in use."""
    keys.matches(key, stored=NO_DIGEST, pepper=NO_DIGEST)


class Action(Enum):
    """Actions that a service carries out. Those that need the database say so: the others can be
    answered from the cache."""

    LOOK_UP = "look up", True
    """Read the row, and decide again with `is_fresh`."""
    CHECK_ADDRESS = "check address", True
    """Go on with `decide_address`: the key is good, and may be used from some addresses only."""
    ACCEPT = "accept", False
    ACCEPT_AND_RECORD = "accept and record", True
    """Write what the first use of an entry writes, then accept."""
    REFUSE = "refuse", False
    REFUSE_AND_AUDIT = "refuse and audit", True

    def __init__(self, _name: str, needs_database: bool) -> None:
        self.needs_database = needs_database  # set once: computing it would cost a call each time


class Decision(NamedTuple):
    """What to do with a presented key, and if it is refused, why."""

    action: Action
    reason: Reason | None = None


# Made once: what is decided thousands of times a second should not be built each time.
LOOK_UP = Decision(Action.LOOK_UP)
CHECK_ADDRESS = Decision(Action.CHECK_ADDRESS)
ACCEPT = Decision(Action.ACCEPT)
ACCEPT_AND_RECORD = Decision(Action.ACCEPT_AND_RECORD)
REFUSE = {reason: Decision(Action.REFUSE, reason) for reason in Reason}
REFUSE_AND_AUDIT = {reason: Decision(Action.REFUSE_AND_AUDIT, reason) for reason in Reason}
UNKNOWN = REFUSE[Reason.UNKNOWN]


def decide(
    entry: CacheEntry | None, *, fits: bool, at: datetime, is_fresh: bool = False
) -> Decision:
    """Decide about a key. `entry`: None if its id is not cached; `fits`: its secret is the
    entry's; `is_fresh`: the entry was read for this very decision."""
    if entry is None:
        return LOOK_UP
    if not fits or not entry.exists:
        return UNKNOWN if is_fresh or entry.saw_wrong_secret else LOOK_UP
    reason, ends_at = entry.reason, entry.expires_at
    if ends_at is not None and ends_at <= at and reason is not Reason.DELETED:
        reason = entry.end_reason(at)
    if reason is None:
        if entry.allowed is not None:
            return CHECK_ADDRESS
        return ACCEPT if entry.side_effects_done else ACCEPT_AND_RECORD
    return _refuse(entry, reason, at)


def decide_address(entry: CacheEntry, *, address: str | Anywhere | None, at: datetime) -> Decision:
    """Decide about a good key that has a list of allowed addresses. `address`: of the client, None
    if it is unknown. By itself, so that keys without a list pay nothing for it."""
    assert entry.allowed is not None
    if address is ANYWHERE or entry.allowed.covers(address):
        return ACCEPT if entry.side_effects_done else ACCEPT_AND_RECORD
    return _refuse(entry, Reason.ADDRESS_NOT_ALLOWED, at)


def _refuse(entry: CacheEntry, reason: Reason, at: datetime) -> Decision:
    told_at = entry.refusal_audited_at
    is_audited = told_at is not None and told_at > at - AUDITED_EVERY
    return (REFUSE if is_audited else REFUSE_AND_AUDIT)[reason]
