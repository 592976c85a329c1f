"""The verb that tells whether a token is good: one narrow query."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from enum import StrEnum
from typing import NamedTuple

from django.conf import settings
from django.db import Error, transaction
from django.db.models import Q
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _
from django.views.decorators.debug import sensitive_variables

from accounts import audit
from accounts.actors import Actor, Through
from accounts.roles import Role
from apitokens import keys
from apitokens.models import APIToken
from apitokens.services import newest_pepper

logger = logging.getLogger(__name__)

REFUSALS_TOLD_EVERY = timedelta(hours=1)
_NO_DIGEST = bytes(keys.DIGEST_BYTES)


class Refusal(StrEnum):
    """Why a token is not good. The last three are told only to who holds the right secret."""

    MALFORMED = "malformed"
    UNKNOWN = "unknown"
    EXPIRED = "expired"
    DELETED = "deleted"
    ISSUER_INACTIVE = "issuer_inactive"


_SENTENCES: dict[Refusal, Promise] = {
    Refusal.MALFORMED: _("This is not an API token: check that it was copied whole."),
    Refusal.UNKNOWN: _("There is no such API token."),
    Refusal.EXPIRED: _("The API token has expired. Create a new one."),
    Refusal.DELETED: _("The API token was deleted. Create a new one."),
    Refusal.ISSUER_INACTIVE: _(
        "The user who issued the API token, or their account, is not active. "
        "Ask an Administrator of the account."
    ),
}
_TRUNCATED = _(
    "Only the id of the API token arrived (token_truncated): your shell took the part after $ for "
    "a variable. Put the header in single quotes."
)


class Refused(Exception):
    """The token is not good: `code` says why, `sentence` what to do. Never repeats the token."""

    def __init__(self, code: Refusal, sentence: str | Promise | None = None) -> None:
        super().__init__(code)
        self.code = code
        self.sentence = sentence or _SENTENCES[code]


class Verified(NamedTuple):
    """What a good token may do, and for whom. `role` is the weaker of token's and issuer's."""

    token_id: int
    account_id: int
    membership_id: int
    user_id: int
    email: str
    role: Role
    expires_at: datetime | None


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
    issuer__user_id: int
    issuer__user__email: str
    issuer__user__is_active: bool
    account__closed_at: datetime | None


@sensitive_variables("presented", "key")
def verify(*, presented: str, at: datetime, address: str | None = None) -> Verified:
    """Tell whose token this is and what it may do; remember that it was used. Raises `Refused`.

    Damaged text is refused with no I/O. An unknown id costs the same as a wrong secret, and neither
    can be told from the other.
    """
    try:
        key = keys.parse(presented)
    except keys.Malformed as malformed:
        truncated = malformed.damage is keys.Damage.TRUNCATED
        raise Refused(Refusal.MALFORMED, _TRUNCATED if truncated else None) from None
    row = _find(key.id)
    if not _is_secret_right(key, row) or row is None:
        raise Refused(Refusal.UNKNOWN)
    refusal = _refusal(row, at)
    if refusal is not None:
        _tell_refusal(key.id, row, refusal, at=at, address=address)
        raise Refused(refusal)
    _renew_digest(key, row, at)
    record_use(token_id=key.id, last=row.last_used_at, at=at, address=address)
    return Verified(
        token_id=key.id,
        account_id=row.account_id,
        membership_id=row.issuer_id,
        user_id=row.issuer__user_id,
        email=row.issuer__user__email,
        role=Role.weaker(Role(row.role), Role(row.issuer__role)),
        expires_at=row.expires_at,
    )


def record_use(*, token_id: int, last: datetime | None, at: datetime, address: str | None) -> None:
    """Remember time and address of a use: one write a minute at the most, and never back in time.

    `last` is what the caller has just read, so that the other uses of the minute cost nothing. A
    use that cannot be written down is logged: authentication never fails for it.
    """
    minute = at.replace(second=0, microsecond=0)
    if last is not None and last >= minute:
        return
    earlier = Q(last_used_at__isnull=True) | Q(last_used_at__lt=at)
    with _beside_the_answer("The use", token_id, at):
        APIToken.objects.filter(earlier, pk=token_id).update(
            last_used_at=at, last_used_address=address
        )


@contextmanager
def _beside_the_answer(what: str, token_id: int, at: datetime) -> Iterator[None]:
    """A write that the answer does not wait for: it happens whole, or not at all and is logged."""
    try:
        with transaction.atomic():
            yield
    except Error:
        logger.exception("%s of API token %s at %s was not written down.", what, token_id, at)


def _find(token_id: int) -> _Row | None:
    values = APIToken.objects.filter(pk=token_id).values_list(*_Row._fields).first()
    return _Row(*values) if values else None


@sensitive_variables("key")
def _is_secret_right(key: keys.Key, row: _Row | None) -> bool:
    """Compare once and in constant time, whether there is a row or not."""
    pepper = settings.TOKEN_PEPPERS.get(row.pepper or 0) if row else None
    stored = bytes(row.digest) if row and row.digest and pepper else _NO_DIGEST
    return keys.matches(
        key, stored=stored, pepper=pepper or settings.TOKEN_PEPPERS[newest_pepper()]
    )


def _refusal(row: _Row, at: datetime) -> Refusal | None:
    if row.deleted_at is not None:
        return Refusal.DELETED
    if row.expires_at is not None and row.expires_at <= at:
        return Refusal.EXPIRED
    if (
        row.issuer__removed_at is not None
        or not row.issuer__user__is_active
        or row.account__closed_at is not None
    ):
        return Refusal.ISSUER_INACTIVE
    return None


def _tell_refusal(
    token_id: int, row: _Row, refusal: Refusal, *, at: datetime, address: str | None
) -> None:
    """Write the audit event, once an hour and token: a busy dead client must not fill the log."""
    due = at - REFUSALS_TOLD_EVERY
    if row.refusal_told_at is not None and row.refusal_told_at > due:
        return
    earlier = Q(refusal_told_at__isnull=True) | Q(refusal_told_at__lte=due)
    with _beside_the_answer("The refusal", token_id, at):
        if APIToken.objects.filter(earlier, pk=token_id).update(refusal_told_at=at):
            audit.record(
                "token.refused",
                by=Actor(through=Through.API, token_id=token_id, address=address),
                at=at,
                account_id=row.account_id,
                subject=APIToken(pk=token_id),
                code=refusal,
            )


@sensitive_variables("key")
def _renew_digest(key: keys.Key, row: _Row, at: datetime) -> None:
    """Digest again under the newest pepper, so that old ones can retire."""
    newest = newest_pepper()
    if row.pepper == newest:
        return
    renewed = keys.digest(key, settings.TOKEN_PEPPERS[newest])
    with _beside_the_answer("The new digest", key.id, at):
        APIToken.objects.filter(pk=key.id, pepper=row.pepper, deleted_at=None).update(
            pepper=newest, digest=renewed
        )
