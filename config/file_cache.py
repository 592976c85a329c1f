"""The cache of the embedded shape: files, shared by all processes of this machine.

Django's own file cache looks whether a key is there and then writes it, so that of two processes
that ask at once both may hear that they came first. Rate limits and locks depend on `add` telling
exactly one of them so.
"""

import fcntl
import os
import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from django.core.cache.backends.base import DEFAULT_TIMEOUT
from django.core.cache.backends.filebased import FileBasedCache

LOCKS = 64
"""Keys share this many lock files: a few processes rarely wait for each other."""


class SharedFileCache(FileBasedCache):
    def add(
        self, key: Any, value: Any, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None
    ) -> bool:
        """Write the key unless it is there. Of all who try at once one hears True."""
        with self._locked(key, version):
            return super().add(key, value, timeout, version)

    @contextmanager
    def _locked(self, key: Any, version: int | None) -> Iterator[None]:
        """Nobody else holds this key's lock; the system takes it from a process that dies."""
        self._createdir()  # type: ignore[attr-defined]  # the stubs leave out what is not public
        path: str = self._key_to_file(key, version)  # type: ignore[attr-defined]
        number = int(os.path.basename(path)[:8], 16) % LOCKS
        lock = os.path.join(os.path.dirname(path), f"{number:02d}.lock")
        descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def _cull(self) -> None:
        """Make room: first what has expired, and only then what has not, at random."""
        files: list[str] = self._list_cache_files()  # type: ignore[attr-defined]
        if len(files) < self._max_entries:
            return
        living = [path for path in files if not self._is_past(path)]
        if len(living) >= self._max_entries:
            share = len(living) // self._cull_frequency
            for path in random.sample(living, share):
                self._delete(path)  # type: ignore[attr-defined]

    def _is_past(self, path: str) -> bool:
        """True if the file's time has passed, or if it is gone; then it is deleted."""
        try:
            with open(path, "rb") as file:
                return bool(self._is_expired(file))  # type: ignore[attr-defined]
        except FileNotFoundError:
            return True
