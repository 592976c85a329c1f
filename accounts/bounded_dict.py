"""Dictionaries in a process's memory that must not grow without bound."""

import contextlib
from typing import Any


def evict_oldest(held: dict[Any, Any], *, most: int) -> None:
    """Evict the oldest entries until no more than `most` are left, whatever other threads do."""
    while len(held) > most:
        with contextlib.suppress(RuntimeError, StopIteration):  # another thread was faster
            held.pop(next(iter(held)), None)
