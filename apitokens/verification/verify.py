"""The service that tells whether an API token is good: from the cache, or by one narrow query."""

import logging
from datetime import datetime
from typing import Any

from django.conf import settings
from django.db.models import Q, QuerySet
from django.views.decorators.debug import sensitive_variables

from accounts.audit import recorder as audit
from accounts.authorization.actor import Actor, EntryPoint
from accounts.bounded_dict import evict_oldest
from apitokens import keys
from apitokens.addresses.notifications import tell_of_refusal
from apitokens.cache.lease_cache import ReadLeaseCache
from apitokens.cache.token_caches import TOKENS
from apitokens.models import APIToken, OldSecret
from apitokens.peppers import current_pepper
from apitokens.usage.flusher import record_old_use, record_refusal, record_use
from apitokens.verification import throttling
from apitokens.verification.best_effort import best_effort_write
from apitokens.verification.decision import (
    ACCEPT,
    ACCEPT_AND_RECORD,
    ANYWHERE,
    AUDITED_EVERY,
    CHECK_ADDRESS,
    LOOK_UP,
    UNKNOWN,
    Action,
    Decision,
    Reason,
    decide,
    decide_address,
)
from apitokens.verification.refusals import (
    FORGOTTEN,
    Insufficient,
    Refusal,
    Refused,
    Requirement,
    Verified,
    refusal_for,
    require,
)
from apitokens.verification.token_lookup import NOTHING, CachedToken, look_up

logger = logging.getLogger(__name__)

MOST_MALFORMED = 1_000

_NOT_WRITTEN = "%s of API token %s at %s was not written down."

_UNSEEN = "not seen yet"
_malformed_cache: dict[bytes, str | None] = {}
"""By fingerprint, the `why` of texts that are no token's."""
_tokens: ReadLeaseCache[CachedToken] = TOKENS


@sensitive_variables()  # and of all that it calls: Django looks up the stack
def verify(
    *,
    presented: str,
    at: datetime,
    address: str | None = None,
    by_client: bool = True,
    requirement: Requirement | None = None,
) -> Verified:
    """Tell whose token this is and what it may do; record that it was used. Raises `Refused`, and
    `TooMany` for a token that is used too often, and instead of looking anything up for an address
    that was refused too often. `Insufficient` for a good one that does not meet the `requirement`.
    `Insufficient` also, and before all else, for a good one that may not be used from this address.
    What is refused is no use, and does not move the last one.

    `address` is the client's, and None if it is unknown. If it is not the client who asks
    (`by_client` is false) but a system that was sent the token, that has limits of its own; where
    it names no address of the client, none is asked for.

    Malformed text is refused with no I/O. What was read less than `VERIFY_CACHE_SECONDS` ago is not
    read again. An unknown id costs the same as a wrong secret, and neither can be told from the
    other.
    """
    entry, decision, fingerprint = _decide_from_cache(presented, at)
    if decision.action.needs_database:
        key = keys.parse(presented)
        if decision is LOOK_UP:
            if by_client:
                throttling.refuse_busy_address(key, address=address, at=at)
            entry, fits = _fitting(presented, fingerprint, look_up(key.id))
            decision = decide(entry, fits=fits, at=at, is_fresh=True)
        assert entry is not None  # what is not cached was looked up
        if decision is CHECK_ADDRESS:
            decision = _check_address(entry, address, at=at, by_client=by_client)
        _carry_out(decision, key, entry, at=at, address=address, requirement=requirement)
    return _answer(decision, entry, at=at, address=address, requirement=requirement)


def _check_address(
    entry: CachedToken, address: str | None, *, at: datetime, by_client: bool
) -> Decision:
    """Decide by the address of the client, if it is known who that is."""
    place = address if by_client or address else ANYWHERE
    return decide_address(entry, address=place, at=at)


def verify_from_cache(
    *,
    presented: str,
    at: datetime,
    address: str | None = None,
    by_client: bool = True,
    requirement: Requirement | None = None,
) -> Verified | None:
    """Verify from the cache only; None if the database must be asked."""
    entry, decision, _fingerprint = _decide_from_cache(presented, at)
    if decision is CHECK_ADDRESS and entry is not None:
        decision = _check_address(entry, address, at=at, by_client=by_client)
    if decision.action.needs_database:
        if decision is ACCEPT_AND_RECORD and entry is not None:
            _require(entry, requirement, at=at)
            throttling.refuse_busy_token(entry.token_id, at=at)
        return None
    return _answer(decision, entry, at=at, address=address, requirement=requirement)


def _decide_from_cache(presented: str, at: datetime) -> tuple[CachedToken | None, Decision, bytes]:
    """The entry of the text's id (None if it is not cached), what follows from it, and the text's
    fingerprint. Raises `Refused` for malformed text."""
    if len(presented) > keys.LONGEST:
        raise Refused(Refusal.MALFORMED)
    fingerprint = keys.fingerprint(presented)
    # Asked once: another thread may make room in between.
    if (why := _malformed_cache.get(fingerprint, _UNSEEN)) is not _UNSEEN:
        raise Refused(Refusal.MALFORMED, why)
    entry = _tokens.find(keys.extract_id(presented))
    if entry is None:
        NOTHING.fitting(_parse(presented, fingerprint))  # takes as long as for an id in use
        fits = False
    elif fingerprint == entry.last_fit:  # saves a call: most texts are the one that fitted last
        fits = True
    else:
        entry, fits = _fitting(presented, fingerprint, entry)
    return entry, decide(entry, fits=fits, at=at), fingerprint


def _fitting(presented: str, fingerprint: bytes, entry: CachedToken) -> tuple[CachedToken, bool]:
    """The entry of the secret that the text has, and True; or the token's own, and False. Raises
    `Refused` for malformed text."""
    if entry.old is not None and fingerprint == entry.old.last_fit:
        return entry.old, True
    if fingerprint == entry.last_misfit:
        return entry, False
    found = entry.fitting(_parse(presented, fingerprint))
    if found is None:
        entry.last_misfit = fingerprint
        return entry, False
    found.last_fit = fingerprint
    return found, True


def _parse(presented: str, fingerprint: bytes) -> keys.Key:
    """The token in parts. Raises `Refused` for malformed text, and remembers why."""
    key = keys.read(presented)
    if isinstance(key, keys.Damage):
        why = key if key is keys.Damage.TRUNCATED else None
        _malformed_cache[fingerprint] = why
        evict_oldest(_malformed_cache, most=MOST_MALFORMED)
        raise Refused(Refusal.MALFORMED, why)
    return key


def _answer(
    decision: Decision,
    entry: CachedToken | None,
    *,
    at: datetime,
    address: str | None,
    requirement: Requirement | None,
) -> Verified:
    """Answer without any I/O."""
    if decision.reason is not None:
        if entry is not None:
            if decision is not UNKNOWN:
                record_refusal(token_id=entry.token_id, at=at)
            elif entry.is_forgotten:
                raise Refused(Refusal.UNKNOWN, FORGOTTEN)
        raise refusal_for(decision.reason)
    assert entry is not None
    assert entry.verified is not None
    if decision is ACCEPT:
        try:  # here and not in `_require`: a call would cost each use a thousandth
            require(entry.verified, requirement)
        except Insufficient:
            record_refusal(token_id=entry.token_id, at=at)
            raise
        throttling.count_use(entry.token_id, at=at)
        record_use(token_id=entry.token_id, at=at, address=address)
        if entry.is_old:
            _record_old_use(entry, at=at, address=address)
    return entry.verified


@sensitive_variables("key")
def _carry_out(
    decision: Decision,
    key: keys.Key,
    entry: CachedToken,
    *,
    at: datetime,
    address: str | None,
    requirement: Requirement | None,
) -> None:
    """Write what the decision demands, and mark the entry. Nothing is written for a good token that
    is not enough: that is no use."""
    if decision is UNKNOWN:
        entry.saw_wrong_secret = True
    elif decision.reason is not None:
        # From elsewhere it is as good as before: who tries it there must not shut out the others.
        if decision.reason is not Reason.ADDRESS_NOT_ALLOWED:
            throttling.forget_recently_valid(key)
        if decision.action is Action.REFUSE_AND_AUDIT:
            _audit_denial(entry, decision.reason, key.id, at=at, address=address)
    elif decision is ACCEPT_AND_RECORD:
        throttling.mark_recently_valid(key, at=at)
        _require(entry, requirement, at=at)
        throttling.count_use(key.id, at=at)
        _renew_digest(key, entry, at)
        record_use(token_id=key.id, at=at, address=address, is_first=entry.was_unused)
        if entry.is_old:
            _record_old_use(entry, at=at, address=address)
        entry.side_effects_done = True


def _record_old_use(entry: CachedToken, *, at: datetime, address: str | None) -> None:
    assert entry.verified is not None
    number = entry.verified.secret_number
    record_old_use(token_id=entry.token_id, secret_number=number, at=at, address=address)


def _require(entry: CachedToken, requirement: Requirement | None, *, at: datetime) -> None:
    assert entry.verified is not None  # of a token that is accepted
    try:
        require(entry.verified, requirement)
    except Insufficient:
        record_refusal(token_id=entry.token_id, at=at)
        raise


def _audit_denial(
    entry: CachedToken, reason: Reason, token_id: int, *, at: datetime, address: str | None
) -> None:
    """Write the audit event, unless another process has written one within the hour. Of a use from
    elsewhere the people are told, too."""
    due = Q(refusal_told_at__isnull=True) | Q(refusal_told_at__lte=at - AUDITED_EVERY)

    def write() -> None:
        if APIToken.objects.filter(due, pk=token_id).update(refusal_told_at=at):
            audit.record(
                "token.refused",
                by=Actor(through=EntryPoint.API, token_id=token_id, address=address),
                at=at,
                account_id=entry.verified.account_id if entry.verified else None,
                subject=APIToken(pk=token_id),
                **refusal_for(reason).facts,
            )
            if reason is Reason.ADDRESS_NOT_ALLOWED:
                tell_of_refusal(token_id, address=address, at=at)
        entry.refusal_audited_at = at

    best_effort_write(write, logger, _NOT_WRITTEN, "The refusal", token_id, at)


@sensitive_variables("key")
def _renew_digest(key: keys.Key, entry: CachedToken, at: datetime) -> None:
    """Digest again under the current pepper, so that old ones can retire."""
    current = current_pepper()
    if entry.pepper_number == current:
        return
    renewed = keys.digest(key, settings.TOKEN_PEPPERS[current])
    # Only in place of what was read: in between the token may have been rotated.
    read = {"pepper": entry.pepper_number, "digest": entry.digest}
    rows: QuerySet[Any] = (
        OldSecret.objects.filter(token=key.id, token__deleted_at=None, **read)
        if entry.is_old
        else APIToken.objects.filter(pk=key.id, deleted_at=None, **read)
    )
    best_effort_write(
        lambda: rows.update(pepper=current, digest=renewed),
        *(logger, _NOT_WRITTEN, "The new digest", key.id, at),
    )
