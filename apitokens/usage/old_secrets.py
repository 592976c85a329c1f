"""When, and from where, the old secrets of rotated tokens were last used.

Every use of an old secret is a use of its token as well (`apitokens.usage.buffer`). What is kept
here beside it tells people whether all of their systems have the new secret.
"""

import threading
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import NamedTuple

from django.db.models import Q

from accounts.http.client_ip import parse_address
from apitokens.lock_patience import atomic_within
from apitokens.models import OldSecret
from apitokens.usage.store import FLUSH_WAITS

MOST_BUFFERED = 20_000
"""Secrets. Of others beyond that the use is not noted, until some were stored."""
AT_ONCE = 500


class OldUse(NamedTuple):
    """The last use of an old secret. `secret_number`: how often the token had been rotated when it
    got this one."""

    token_id: int
    secret_number: int
    at: datetime
    address: str | None


class OldUseBuffer:
    """The last use of each old secret that this process has not stored yet. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._latest: dict[tuple[int, int], OldUse] = {}

    def add(self, use: OldUse) -> None:
        with self._lock:
            self._keep(use)

    def pop_all(self) -> list[OldUse]:
        """Take out all, in the order of their tokens."""
        with self._lock:
            latest, self._latest = self._latest, {}
        return sorted(latest.values(), key=lambda use: use[:2])

    def put_back(self, uses: Iterable[OldUse]) -> None:
        """Keep uses that could not be stored, unless there have been later ones."""
        with self._lock:
            for use in uses:
                self._keep(use)

    def _keep(self, use: OldUse) -> None:
        key = use.token_id, use.secret_number
        known = self._latest.get(key)
        if known is None:
            if len(self._latest) < MOST_BUFFERED:
                self._latest[key] = use
        elif known.at < use.at:
            self._latest[key] = use


def store_old_uses(uses: Sequence[OldUse], *, waits: float = FLUSH_WAITS) -> None:
    """Store the uses, those of secrets that are still the last but one of their token. Idempotent.
    Raises Django's `OperationalError` if rows stay locked for longer than it `waits`."""
    for start in range(0, len(uses), AT_ONCE):
        with atomic_within(waits):
            for use in uses[start : start + AT_ONCE]:
                _store(use)


def _store(use: OldUse) -> None:
    earlier = Q(last_used_at__isnull=True) | Q(last_used_at__lt=use.at)
    secret = OldSecret.objects.filter(token=use.token_id, token__rotations=use.secret_number + 1)
    address = parse_address(use.address or "")
    secret.filter(earlier).update(last_used_at=use.at, last_used_address=address)
