"""The services of verifier keys, by which other systems may ask what a token is good for.

Operators make them; they belong to no account, and open nothing but introspection.
"""

import logging
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

from django.conf import settings
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import transaction
from django.db.models import Q
from django.utils.translation import gettext as _
from django.views.decorators.debug import sensitive_variables

from accounts.audit import recorder as audit
from accounts.authorization.actor import Actor
from accounts.random_ids import draw_id
from apitokens import keys
from apitokens.cache.in_force import end_verifier_on_commit
from apitokens.cache.lease_cache import ReadLeaseCache, is_in_transaction
from apitokens.cache.token_caches import VERIFIERS
from apitokens.models import Service, VerifierKey
from apitokens.peppers import current_pepper
from apitokens.verification import throttling
from apitokens.verification.best_effort import best_effort_write
from apitokens.verification.decision import (
    ACCEPT,
    ACCEPT_AND_RECORD,
    LOOK_UP,
    UNKNOWN,
    CacheEntry,
    Reason,
    compare_with_nothing,
    decide,
)
from apitokens.verification.refusals import (
    VERIFIER_FORGOTTEN,
    Refusal,
    Refused,
    Requirement,
)

logger = logging.getLogger(__name__)


class IssuedVerifier(NamedTuple):
    """A new verifier key: the only time that its secret exists outside its owner's hands."""

    verifier: VerifierKey
    key: keys.Key


class Verifier(NamedTuple):
    """A system that asks about tokens, and what a token must meet for it to be told of it (None:
    nothing): if its key is bound to a service, a scope of that, and the account of that."""

    id: int
    sees: Requirement | None


@dataclass(slots=True)
class _CachedVerifier(CacheEntry):
    """The cache entry of a verifier key."""

    row: VerifierKey | None = None
    sees: Requirement | None = None
    """What a token must meet to be seen with this key; None for all."""
    last_fit: bytes = field(default=b"", repr=False)
    """The fingerprint of the text that fitted last; see `keys.fingerprint`."""


_verifiers: ReadLeaseCache[_CachedVerifier] = VERIFIERS


@sensitive_variables("key")
@transaction.atomic
def issue_verifier(
    *, name: str, service: Service | None = None, by: Actor, at: datetime
) -> IssuedVerifier:
    """Make a verifier key, perhaps bound to one service. Operators only. Raises `ValidationError`
    and `PermissionDenied`."""
    _operators_only(by)
    if service is not None:
        service = _locked(service)
    verifier = VerifierKey(name=name.strip(), service=service, created_at=at)
    while VerifierKey.objects.filter(pk=verifier.pk).exists():
        verifier.pk = draw_id()
    key = keys.make(verifier.pk, keys.VERIFIER)
    verifier.pepper = current_pepper()
    verifier.digest = keys.digest(key, settings.TOKEN_PEPPERS[verifier.pepper])
    verifier.clean_fields(exclude=["digest", "pepper"])
    verifier.save(force_insert=True)
    bound: dict[str, Any] = {"service": service.code} if service else {}
    audit.record("verifier.issued", by=by, at=at, subject=verifier, name=verifier.name, **bound)
    return IssuedVerifier(verifier, key)


@transaction.atomic
def delete_verifier(*, verifier: VerifierKey, by: Actor, at: datetime) -> bool:
    """Delete a verifier key: it stops at once. False if it was deleted already. Operators only."""
    _operators_only(by)
    end_verifier_on_commit(verifier.pk)
    present = VerifierKey.objects.filter(pk=verifier.pk, deleted_at=None)
    if not present.update(deleted_at=at):
        return False
    audit.record("verifier.deleted", by=by, at=at, subject=verifier, name=verifier.name)
    return True


@sensitive_variables("presented", "key")
def authenticate_verifier(*, presented: str, at: datetime, address: str | None = None) -> Verifier:
    """The verifier key that this is. Raises `Refused`, or `TooMany`.

    The same promises as `apitokens.verification.verify.verify`: cached for a lease, malformed text
    without I/O, unknown and wrong alike.
    """
    try:
        key = keys.parse_verifier(presented)
    except keys.Malformed:
        raise Refused(Refusal.MALFORMED, "verifier_malformed") from None
    entry = _verifiers.find(key.id)
    decision = decide(entry, fits=_fits(key, entry), at=at)
    if decision is LOOK_UP:
        throttling.refuse_busy_address(key, address=address, at=at)
        entry = _look_up(key.id)
        decision = decide(entry, fits=_fits(key, entry), at=at, is_fresh=True)
    assert entry is not None  # what is not cached was looked up
    if decision is UNKNOWN:
        entry.saw_wrong_secret = True
        why = VERIFIER_FORGOTTEN if entry.is_forgotten else "verifier_unknown"
        raise Refused(Refusal.UNKNOWN, why)
    if decision.reason is not None:
        raise Refused(Refusal.DELETED, "verifier_deleted")
    if decision is ACCEPT_AND_RECORD and entry.row is not None:
        _record_use(key, entry.row, at=at, address=address)
        throttling.mark_recently_valid(key, at=at)
        entry.side_effects_done = True
    return Verifier(key.id, entry.sees)


def known_verifier(*, presented: str, at: datetime) -> Verifier | None:
    """The verifier key that this is, if nothing has to be read or written for it. None tells
    nothing: `authenticate_verifier` says more."""
    if len(presented) > keys.LONGEST + len(keys.VERIFIER):
        return None
    entry = _verifiers.find(keys.extract_id(presented[len(keys.VERIFIER) :]))
    if entry is None or entry.row is None:
        return None
    fingerprint = keys.fingerprint(presented)
    if fingerprint != entry.last_fit:
        try:
            if not entry.matches(keys.parse_verifier(presented)):
                return None
        except keys.Malformed:
            return None
        entry.last_fit = fingerprint
    if decide(entry, fits=True, at=at) is not ACCEPT:
        return None
    return Verifier(entry.row.pk, entry.sees)


def _locked(service: Service) -> Service:
    """The service, which is not removed until the transaction ends."""
    found = Service.objects.select_for_update(no_key=True).filter(pk=service.pk).first()
    if found is None:
        raise ValidationError({"service": ValidationError(_("The service was removed."))})
    return found


def _fits(key: keys.Key, entry: _CachedVerifier | None) -> bool:
    if entry is None:
        compare_with_nothing(key)
        return False
    return entry.matches(key)


def _look_up(verifier_id: int) -> _CachedVerifier:
    """Read the verifier key. What a transaction reads may be old, or undone: it is not cached."""
    reading = _verifiers.begin(verifier_id)
    row = VerifierKey.objects.select_related("service").filter(pk=verifier_id).first()
    entry = _CachedVerifier(is_forgotten=row is not None and row.digest is None)
    pepper = settings.TOKEN_PEPPERS.get(row.pepper or 0) if row else None
    if row is not None and row.digest is not None and pepper is not None:
        reason = None if row.deleted_at is None else Reason.DELETED
        digest = bytes(row.digest)
        entry = _CachedVerifier(exists=True, digest=digest, pepper=pepper, reason=reason, row=row)
        if row.service is not None:
            entry.sees = Requirement(account_id=row.service.account_id, service=row.service.code)
    if not is_in_transaction():
        _verifiers.keep(verifier_id, entry, reading, seconds=settings.VERIFY_CACHE_SECONDS)
    return entry


@sensitive_variables("key")
def _record_use(key: keys.Key, row: VerifierKey, *, at: datetime, address: str | None) -> None:
    """Store the use, once a minute, and the digest under the current pepper, once."""
    present = VerifierKey.objects.filter(pk=row.pk, deleted_at=None)
    minute = at.replace(second=0, microsecond=0)
    current = current_pepper()
    is_due = row.last_used_at is None or row.last_used_at < minute
    if not is_due and row.pepper == current:
        return

    def write() -> None:
        if is_due:
            earlier = Q(last_used_at__isnull=True) | Q(last_used_at__lt=at)
            present.filter(earlier).update(last_used_at=at, last_used_address=address)
        if row.pepper != current:
            renewed = keys.digest(key, settings.TOKEN_PEPPERS[current])
            present.filter(pepper=row.pepper).update(pepper=current, digest=renewed)

    best_effort_write(write, logger, "The use of verifier key %s was not written down.", row.pk)


def _operators_only(by: Actor) -> None:
    if not by.is_operator:
        raise PermissionDenied(
            _("Only operators of the portal can create and delete verifier keys.")
        )
