"""The hosts that answer from memory: each has a row before it keeps anything, and renews it.

Who has ended a token reads the rows after the commit. A host whose read came before the commit had
its row before that read, so it is among them. Hosts are marks that processes share
(`apitokens.cache.marks`); on SQLite there is one, and no row.
"""

import logging

from django.conf import settings
from django.db import DatabaseError, connection

from apitokens.cache import messages
from apitokens.cache.lease_cache import clock, is_in_transaction
from apitokens.cache.marks import Marks, marks

logger = logging.getLogger(__name__)

RENEWED_AFTER, TRUSTED_FOR, RESPECTED_FOR = 5, 15, 30
"""Seconds: the host believes in its row by its own clock, others respect it by the database's."""
LONGEST_LEASE = 1.0
"""Seconds: the most that `VERIFY_CACHE_SECONDS` can be."""
RETRIED_AFTER = 1
"""Seconds, and by one thread of the host: what cannot be written must not keep everybody busy."""

_WRITE = """
INSERT INTO apitokens_verifyinghost AS known (id, seen_at, lease)
VALUES (%s, clock_timestamp(), %s)
ON CONFLICT (id) DO UPDATE
SET seen_at = greatest(known.seen_at, excluded.seen_at),
    lease = greatest(known.lease, excluded.lease)
RETURNING lease
"""
"""A shorter lease takes nothing back: another process of the host may have kept a longer one."""
_DROP_ENDED = """
DELETE FROM apitokens_verifyinghost WHERE seen_at < clock_timestamp() - interval '1 day'
"""
_OTHERS = """
SELECT id, lease FROM apitokens_verifyinghost
WHERE id <> %s AND seen_at > clock_timestamp() - make_interval(secs => %s)
"""


def token_marks() -> "tuple[memoryview[float], float]":
    """The marks of tokens, and until when leases may last that begin now."""
    known = marks()
    return known.tokens, _leases_end(known)


def verifier_marks() -> "tuple[memoryview[float], float]":
    """As `token_marks`, of verifier keys."""
    known = marks()
    return known.verifiers, _leases_end(known)


def others(known: Marks) -> dict[int, float]:
    """The other hosts that may have leases of before now, each with the seconds of the longest.
    Raises `DatabaseError`."""
    if not known.has_row:
        return {} if known.is_shared else {0: LONGEST_LEASE}
    with connection.cursor() as cursor:
        cursor.execute(_OTHERS, [known.host_id, RESPECTED_FOR])
        return dict(cursor.fetchall())


def _leases_end(known: Marks) -> float:
    if not known.has_row:
        return float("inf") if known.is_shared else 0
    lease = settings.VERIFY_CACHE_SECONDS
    if not lease or is_in_transaction():
        return 0
    if known.lease < lease:  # processes of the host have different settings
        known.distrust()
    now = clock()
    if known.take_renewal(now, again_in=RETRIED_AFTER):
        _renew(known, lease, now)
    messages.listen(known)
    return known.trusted_until


def _renew(known: Marks, lease: float, now: float) -> None:
    """Write the row. What cannot be written is asked of the database each time."""
    is_new = not known.trusted_until
    try:
        with connection.cursor() as cursor:
            cursor.execute(_WRITE, [known.host_id, lease])
            (lease,) = cursor.fetchone()
            if is_new:
                cursor.execute(_DROP_ENDED)
    except DatabaseError as error:
        logger.warning("This host keeps nothing of tokens in memory: %s", error)
        return
    known.trust(until=now + TRUSTED_FOR, lease=lease, renew_at=now + RENEWED_AFTER)
