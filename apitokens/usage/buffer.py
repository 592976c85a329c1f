"""Uses of tokens that this process has not stored yet."""

import threading
from collections.abc import Iterable, Set
from datetime import UTC, datetime, timedelta

from apitokens.usage.store import UsageSource, Use, merged

MOST_BUFFERED = 20_000
"""Tokens and addresses that uses are collected of at a time: some 10 MB."""


MOST_KNOWN = 50_000
"""Tokens and addresses that a process remembers having seen: another 10 MB at the most."""

MOST_REFUSED = 10_000
"""Tokens that refused uses are collected of at a time: 3 MB. They have no addresses."""


class _BufferedUse:
    """Uses of one token from one address; `ends_at` is the end of their day in UTC."""

    __slots__ = ("ends_at", "first_at", "last_at", "times")

    def __init__(self, at: datetime) -> None:
        midnight = at.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        self.first_at = self.last_at = at
        self.ends_at = midnight + timedelta(days=1)
        self.times = 0


class UsageBuffer:
    """Collects uses by token and address until they are taken out to be stored. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._current: dict[tuple[int, str | None], _BufferedUse] = {}
        self._refused: dict[int, _BufferedUse] = {}
        self._closed: list[Use] = []
        """Uses of days that have ended, and those that were put back."""
        self._known: set[tuple[int, str | None]] = set()
        self._unseen: set[tuple[int, str | None]] = set()

    def add(self, token_id: int, address: str | None, at: datetime) -> None:
        """Count one use. The hot path: measured, half a microsecond."""
        source = (token_id, address)  # a plain tuple: a named one takes three times as long
        with self._lock:
            use = self._current.get(source)
            if use is None or at >= use.ends_at:
                use = self._begin(source, at)
            use.times += 1
            if at > use.last_at:
                use.last_at = at

    def add_refused(self, token_id: int, at: datetime) -> None:
        """Count one refusal of the token. Of too many tokens the first are counted."""
        with self._lock:
            refused = self._refused.get(token_id)
            if refused is None or at >= refused.ends_at:
                if refused is not None:
                    self._closed.append(_refusals(token_id, refused))
                elif len(self._refused) >= MOST_REFUSED:
                    return
                refused = self._refused[token_id] = _BufferedUse(at)
            refused.times += 1
            refused.last_at = max(refused.last_at, at)

    @property
    def is_filling(self) -> bool:
        """True if it should be emptied before its time."""
        return len(self._current) > MOST_BUFFERED // 2 or len(self._refused) > MOST_REFUSED // 2

    def is_known(self, token_id: int, address: str | None) -> bool:
        """True if this process has seen the token come from the address before."""
        return (token_id, address) in self._known

    def mark_known(self, token_id: int, address: str | None) -> None:
        """Remember that the database knows this address of the token."""
        with self._lock:
            self._remember((token_id, address))

    def pop_all(self) -> list[Use]:
        """Take out all uses."""
        with self._lock:
            uses = self._closed + [_use(*each) for each in self._current.items()]
            uses += [_refusals(*each) for each in self._refused.items()]
            self._closed, self._current, self._refused = [], {}, {}
        return uses

    def pop(self, sources: Set[UsageSource]) -> list[Use]:
        """Take out the uses of these tokens from these addresses."""
        with self._lock:
            found = sources & self._current.keys()
            return [_use(source, self._current.pop(source)) for source in found]

    def put_back(self, uses: Iterable[Use]) -> None:
        """Keep uses that could not be stored; of too many those that were counted first."""
        with self._lock:
            self._closed = merged([*self._closed, *uses])[:MOST_BUFFERED]

    def pop_unseen_addresses(self) -> set[UsageSource]:
        """Take out the addresses that this process has seen for the first time since the last
        call."""
        with self._lock:
            unseen, self._unseen = self._unseen, set()
        return {UsageSource(*source) for source in unseen}

    def requeue(self, sources: Iterable[UsageSource]) -> None:
        """Treat these addresses as unseen again: the database could not be asked about them."""
        with self._lock:
            self._unseen.update(sources)

    def _begin(self, source: tuple[int, str | None], at: datetime) -> _BufferedUse:
        ended = self._current.get(source)
        if ended is not None:
            self._closed.append(_use(source, ended))
        use = _BufferedUse(at)
        if len(self._current) < MOST_BUFFERED:
            self._current[source] = use
            if source not in self._known:
                self._remember(source)
                self._unseen.add(source)
        return use

    def _remember(self, source: tuple[int, str | None]) -> None:
        if len(self._known) >= MOST_KNOWN:
            self._known.clear()
        self._known.add(source)


def _use(source: tuple[int, str | None], use: _BufferedUse) -> Use:
    return Use(*source, first_at=use.first_at, last_at=use.last_at, times=use.times)


def _refusals(token_id: int, use: _BufferedUse) -> Use:
    return Use(token_id, None, use.first_at, use.last_at, times=0, refused=use.times)
