"""The verb that tells whether a token is good: from memory, or by one narrow query."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import Any, NamedTuple, cast

from django.conf import settings
from django.db import Error, InterfaceError, OperationalError, connection, transaction
from django.db.models import Q
from django.views.decorators.debug import sensitive_variables

from accounts.audit import recorder as audit
from accounts.authorization.actor import Actor, EntryPoint
from accounts.roles import Role
from accounts.throttling.process_counters import drop_first
from apitokens import keys
from apitokens.cache.instances import TOKENS
from apitokens.cache.lease_cache import ReadLeaseCache, is_in_transaction
from apitokens.models import APIToken
from apitokens.peppers import newest_pepper
from apitokens.usage.flusher import record_use
from apitokens.verification import throttling
from apitokens.verification.refusals import SUSPENDED, Refusal, Refused, Verified

logger = logging.getLogger(__name__)

REFUSALS_TOLD_EVERY = timedelta(hours=1)
MOST_MALFORMED = 1_000
_NO_DIGEST = bytes(keys.DIGEST_BYTES)


class _Row(NamedTuple):
    digest: bytes | None
    pepper: int | None
    role: int
    account_id: int
    issuer_id: int
    created_at: datetime
    expires_at: datetime | None
    deleted_at: datetime | None
    last_used_at: datetime | None
    refusal_told_at: datetime | None
    issuer__role: int
    issuer__removed_at: datetime | None
    issuer__tokens_suspended_at: datetime | None
    issuer__user_id: int
    issuer__user__email: str
    issuer__user__is_active: bool  # or 0 and 1, in SQLite
    account__closed_at: datetime | None


@dataclass(slots=True)
class _CachedToken:
    """What is known of a token while its lease lasts. An id without a token has one too, which no
    secret fits."""

    digest: bytes = _NO_DIGEST
    pepper: bytes = field(default=_NO_DIGEST, repr=False)
    pepper_number: int | None = None
    verified: Verified | None = None
    is_deleted: bool = False
    is_issuer_active: bool = True
    is_suspended: bool = False
    """The issuer may sign in, but their tokens may not be used."""
    refusal_told_at: datetime | None = None
    was_unused: bool = False
    side_effects_done: bool = False
    """Nothing needs to be written down before memory may answer."""
    saw_wrong_secret: bool = False
    """The read that began the lease was for a secret that does not fit."""
    last_fit: bytes = field(default=b"", repr=False)
    last_misfit: bytes = field(default=b"", repr=False)
    """Fingerprints of what was compared with the digest: the same text is not compared again."""

    def is_fit_by(self, presented: str, fingerprint: bytes) -> bool:
        """True if the text is this token's. Raises `Refused` if it is no token's."""
        if fingerprint == self.last_fit:
            return True
        if fingerprint == self.last_misfit:
            return False
        fits = _fits(_parse(presented, fingerprint), self)
        if fits:
            self.last_fit = fingerprint
        else:
            self.last_misfit = fingerprint
        return fits

    def refusal(self, at: datetime) -> Refused | None:
        """Why a token with the right secret is not good at this moment."""
        if self.is_deleted:
            return Refused(Refusal.DELETED)
        ends = self.verified.expires_at if self.verified else None
        if ends is not None and ends <= at:
            return Refused(Refusal.EXPIRED)
        if not self.is_issuer_active:
            return Refused(Refusal.ISSUER_INACTIVE)
        return Refused(Refusal.ISSUER_INACTIVE, SUSPENDED) if self.is_suspended else None

    def has_told_refusal(self, at: datetime) -> bool:
        """True if an event of the last hour tells that the token is refused."""
        return self.refusal_told_at is not None and self.refusal_told_at > at - REFUSALS_TOLD_EVERY


_Values = tuple[Any, ...]
_NO_ROW: _Values = _Row(
    digest=_NO_DIGEST,
    pepper=None,
    role=Role.USERS,
    account_id=0,
    issuer_id=0,
    created_at=datetime(1970, 1, 1, tzinfo=UTC),
    expires_at=None,
    deleted_at=None,
    last_used_at=datetime(1970, 1, 1, tzinfo=UTC),
    refusal_told_at=None,
    issuer__role=Role.USERS,
    issuer__removed_at=None,
    issuer__tokens_suspended_at=None,
    issuer__user_id=0,
    issuer__user__email="",
    issuer__user__is_active=True,
    account__closed_at=None,
)
_NOBODY = _CachedToken()
_malformed_cache: dict[bytes, str | None] = {}
"""By fingerprint, the `why` of texts that are no token's."""
_leases: ReadLeaseCache[_CachedToken] = TOKENS


@sensitive_variables()  # and of all that it calls: Django looks up the stack
def verify(*, presented: str, at: datetime, address: str | None = None) -> Verified:
    """Tell whose token this is and what it may do; remember that it was used. Raises `Refused`, and
    `TooMany` instead of looking anything up for an address that was refused too often.

    Damaged text is refused with no I/O. What was read less than `VERIFY_CACHE_SECONDS` ago is not
    read again. An unknown id costs the same as a wrong secret, and neither can be told from the
    other.
    """
    found = verify_from_cache(presented=presented, at=at, address=address)
    if found is not None:
        return found
    key, fingerprint = keys.parse(presented), keys.fingerprint(presented)
    known = _leases.find(key.id)
    if known is None or not known.is_fit_by(presented, fingerprint):
        throttling.refuse_busy_address(key, address=address, at=at)
        known = _look_up(key.id)
    if not known.is_fit_by(presented, fingerprint) or known.verified is None:
        known.saw_wrong_secret = True
        raise Refused(Refusal.UNKNOWN)
    refusal = known.refusal(at)
    if refusal is not None:
        throttling.forget_recently_valid(key)
        _audit_denial(key.id, known, refusal, at=at, address=address)
        raise refusal
    _renew_digest(key, known, at)
    record_use(token_id=key.id, at=at, address=address, is_first=known.was_unused)
    known.side_effects_done = True
    throttling.mark_recently_valid(key, at=at)
    return known.verified


def verify_from_cache(
    *, presented: str, at: datetime, address: str | None = None
) -> Verified | None:
    """`verify` from memory alone, without any I/O: None where that takes a look at the database."""
    if len(presented) > keys.LONGEST:
        raise Refused(Refusal.MALFORMED)
    fingerprint = keys.fingerprint(presented)
    if fingerprint in _malformed_cache:
        raise Refused(Refusal.MALFORMED, _malformed_cache[fingerprint])
    token_id = keys.extract_id(presented)
    known = _leases.find(token_id)
    if known is None:
        # Takes as long as if there were something to compare with.
        _fits(_parse(presented, fingerprint), _NOBODY)
        return None
    if not known.is_fit_by(presented, fingerprint):
        # The first wrong secret of a lease is looked up even for a token in memory: how long the
        # answer takes must not tell whether somebody uses a token with this id.
        if known.saw_wrong_secret:
            raise Refused(Refusal.UNKNOWN)
        return None
    refusal = known.refusal(at)
    if refusal is not None and known.has_told_refusal(at):
        raise refusal
    if refusal is not None or not known.side_effects_done:
        return None
    record_use(token_id=token_id, at=at, address=address)
    return known.verified


def _parse(presented: str, fingerprint: bytes) -> keys.Key:
    """The token in parts. Raises `Refused`, and keeps in mind what it was for."""
    key = keys.read(presented)
    if isinstance(key, keys.Damage):
        why = key if key is keys.Damage.TRUNCATED else None
        _malformed_cache[fingerprint] = why
        drop_first(_malformed_cache, most=MOST_MALFORMED)
        raise Refused(Refusal.MALFORMED, why)
    return key


@contextmanager
def _best_effort_write(what: str, token_id: int, at: datetime) -> Iterator[None]:
    """A write that the answer does not wait for: it happens whole, or not at all and is logged."""
    try:
        with transaction.atomic():
            yield
    except Error:
        logger.exception("%s of API token %s at %s was not written down.", what, token_id, at)


def _look_up(token_id: int) -> _CachedToken:
    """Read the token. What a transaction reads may be old, or undone: it is not remembered."""
    reading = _leases.begin()
    row = _find(token_id)
    # Reading a row takes a while, which must not tell that there is one: somebody's is read anyhow.
    known = _known(token_id, row or _NO_ROW)
    if row is None:
        known = _CachedToken()
    if not is_in_transaction():
        _leases.keep(token_id, known, reading, seconds=settings.VERIFY_CACHE_SECONDS)
    return known


def _find(token_id: int) -> _Values | None:
    """The token's row. Whether a kept connection is still well, the query shows by itself: asking
    before, as Django does once a request, would be a round trip more."""
    kept: Any = connection  # its stubs know nothing of checks
    is_doubtful = kept.health_check_enabled and not kept.health_check_done
    if kept.connection is None or not is_doubtful:
        return _run(token_id)
    kept.health_check_done = True
    try:
        return _run(token_id)
    except (InterfaceError, OperationalError):
        kept.close()
        return _run(token_id)


def _run(token_id: int) -> _Values | None:
    """One narrow query, as a statement that the ORM has written once. Writing it anew takes seven
    times as long as running it (measured: 450 of 520 microseconds)."""
    with connection.cursor() as cursor:
        cursor.execute(_statement(), [token_id])
        values = cursor.fetchone()
    return cast(_Values | None, values)


@cache
def _statement() -> str:
    tokens = APIToken.objects.order_by().filter(pk=0)
    sql, _pk = tokens.values_list(*_Row._fields).query.sql_with_params()
    return sql


def _aware(value: Any) -> Any:
    """Times of SQLite are in UTC and do not say so."""
    is_naive = isinstance(value, datetime) and value.tzinfo is None
    return value.replace(tzinfo=UTC) if is_naive else value


def _known(token_id: int, values: _Values) -> _CachedToken:
    row = _Row(*map(_aware, values))
    pepper = settings.TOKEN_PEPPERS.get(row.pepper or 0)
    return _CachedToken(
        digest=bytes(row.digest) if row.digest and pepper else _NO_DIGEST,
        pepper=pepper or _NO_DIGEST,
        pepper_number=row.pepper,
        verified=Verified(
            token_id=token_id,
            account_id=row.account_id,
            membership_id=row.issuer_id,
            user_id=row.issuer__user_id,
            email=row.issuer__user__email,
            role=Role.weaker(Role(row.role), Role(row.issuer__role)),
            created_at=row.created_at,
            expires_at=row.expires_at,
        ),
        is_deleted=row.deleted_at is not None,
        is_issuer_active=row.issuer__removed_at is None
        and bool(row.issuer__user__is_active)
        and row.account__closed_at is None,
        is_suspended=row.issuer__tokens_suspended_at is not None,
        refusal_told_at=row.refusal_told_at,
        was_unused=row.last_used_at is None,
    )


def _fits(key: keys.Key, known: _CachedToken) -> bool:
    """Compare once and in constant time, whether there is a token or not."""
    return keys.matches(key, stored=known.digest, pepper=known.pepper)


def _audit_denial(
    token_id: int, known: _CachedToken, refusal: Refused, *, at: datetime, address: str | None
) -> None:
    """Write the audit event, once an hour and token: a busy dead client must not fill the log."""
    if known.has_told_refusal(at):
        return
    due = at - REFUSALS_TOLD_EVERY
    earlier = Q(refusal_told_at__isnull=True) | Q(refusal_told_at__lte=due)
    with _best_effort_write("The refusal", token_id, at):
        if APIToken.objects.filter(earlier, pk=token_id).update(refusal_told_at=at):
            audit.record(
                "token.refused",
                by=Actor(through=EntryPoint.API, token_id=token_id, address=address),
                at=at,
                account_id=known.verified.account_id if known.verified else None,
                subject=APIToken(pk=token_id),
                **refusal.facts,
            )
        known.refusal_told_at = at


@sensitive_variables("key")
def _renew_digest(key: keys.Key, known: _CachedToken, at: datetime) -> None:
    """Digest again under the newest pepper, so that old ones can retire."""
    newest = newest_pepper()
    if known.pepper_number == newest:
        return
    pepper = settings.TOKEN_PEPPERS[newest]
    renewed = keys.digest(key, pepper)
    with _best_effort_write("The new digest", key.id, at):
        APIToken.objects.filter(pk=key.id, pepper=known.pepper_number, deleted_at=None).update(
            pepper=newest, digest=renewed
        )
