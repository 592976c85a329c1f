"""Uses of tokens that this process has not written down yet."""

import threading
from collections.abc import Iterable, Set
from datetime import UTC, datetime, timedelta

from apitokens.usage.store import Use, merged

MOST_KEPT = 20_000
"""Tokens and addresses that uses are collected of at a time: some 10 MB."""


MOST_MET = 50_000
"""Tokens and addresses that the process recalls having met: another 10 MB at the most."""


Key = tuple[int, str | None]


class _BufferedUse:
    """Uses of one token from one address; `ends_at` is the end of their day in UTC."""

    __slots__ = ("ends_at", "first_at", "last_at", "times")

    def __init__(self, at: datetime) -> None:
        midnight = at.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        self.first_at = self.last_at = at
        self.ends_at = midnight + timedelta(days=1)
        self.times = 0


class UsageBuffer:
    """The uses that this process has not handed over yet."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._lines: dict[Key, _BufferedUse] = {}
        self._kept: list[Use] = []
        self._met: set[Key] = set()
        self._strangers: set[Key] = set()

    def note(self, token_id: int, address: str | None, at: datetime) -> None:
        """Note one use. The hot path: measured, half a microsecond."""
        key = (token_id, address)
        with self._lock:
            line = self._lines.get(key)
            if line is None or at >= line.ends_at:
                line = self._begin(key, at)
            line.times += 1
            if at > line.last_at:
                line.last_at = at

    @property
    def is_filling(self) -> bool:
        """True if it should be emptied before its time."""
        return len(self._lines) > MOST_KEPT // 2

    def is_known(self, token_id: int, address: str | None) -> bool:
        return (token_id, address) in self._met

    def mark_known(self, token_id: int, address: str | None) -> None:
        """What the database knows already is no stranger."""
        with self._lock:
            self._recall((token_id, address))

    def take(self) -> list[Use]:
        """All uses; the notebook is empty afterwards."""
        with self._lock:
            uses = self._kept + [_use(key, line) for key, line in self._lines.items()]
            self._kept, self._lines = [], {}
        return uses

    def take_of(self, keys: Set[Key]) -> list[Use]:
        """The uses of these tokens from these addresses."""
        with self._lock:
            return [_use(key, self._lines.pop(key)) for key in keys & self._lines.keys()]

    def put_back(self, uses: Iterable[Use]) -> None:
        """Keep uses that could not be handed over; of too many those noted first."""
        with self._lock:
            self._kept = merged([*self._kept, *uses])[:MOST_KEPT]

    def pop_unseen_addresses(self) -> set[Key]:
        """What was met for the first time in this process since the last call."""
        with self._lock:
            strangers, self._strangers = self._strangers, set()
        return strangers

    def requeue(self, keys: Iterable[Key]) -> None:
        """It could not be found out whether these are strangers."""
        with self._lock:
            self._strangers.update(keys)

    def _begin(self, key: Key, at: datetime) -> _BufferedUse:
        ended = self._lines.get(key)
        if ended is not None:
            self._kept.append(_use(key, ended))
        line = _BufferedUse(at)
        if len(self._lines) < MOST_KEPT:
            self._lines[key] = line
            if key not in self._met:
                self._recall(key)
                self._strangers.add(key)
        return line

    def _recall(self, key: Key) -> None:
        if len(self._met) >= MOST_MET:
            self._met.clear()
        self._met.add(key)


def _use(key: Key, line: _BufferedUse) -> Use:
    return Use(*key, first_at=line.first_at, last_at=line.last_at, times=line.times)
