"""Cache of the embedded shape: one SQLite file, shared by all processes of this machine.

Rate limits and locks rely on `add` granting a key to one caller only, and on `incr` losing no
count. Django's own file and database caches read first and write then, so they promise neither
(docs/decisions/0027-where-own-code-stays.md has the figures). The file is apart from the portal's
database: a cache must not wait for its write lock, nor be rolled back with a request.

Values are kept as JSON: what is read back can run no code, as a pickle could.
"""

import fcntl
import itertools
import json
import logging
import math
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from django.core.cache.backends.base import DEFAULT_TIMEOUT, BaseCache

logger = logging.getLogger(__name__)
Result = TypeVar("Result")

WRITES_PER_CULL = 100
"""Expired entries are deleted once in so many writes of a thread: looking costs time."""
BUSY_TIMEOUT = 5.0
"""Seconds to wait for another writer, which holds the lock for some 50 microseconds."""

_OPEN = """
    PRAGMA journal_mode=WAL;
    PRAGMA synchronous=NORMAL;
    CREATE TABLE IF NOT EXISTS entry (
        key TEXT PRIMARY KEY, value TEXT NOT NULL, expires_at REAL NOT NULL
    ) WITHOUT ROWID;
    CREATE INDEX IF NOT EXISTS entry_expires_at ON entry (expires_at);
"""
_ADD = """
    INSERT INTO entry VALUES (?, ?, ?) ON CONFLICT (key) DO UPDATE
    SET value = excluded.value, expires_at = excluded.expires_at WHERE entry.expires_at <= ?
"""


class SQLiteCache(BaseCache):
    def __init__(self, path: str | Path, params: dict[str, Any]) -> None:
        super().__init__(params)
        self._path = Path(path)
        self._thread = threading.local()

    def add(
        self, key: Any, value: Any, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None
    ) -> bool:
        """Write the key unless it is there. Of all callers at once one gets True."""
        return self._write(_ADD, *self._row(key, value, timeout, version), time.time())

    def set(
        self, key: Any, value: Any, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None
    ) -> None:
        row = self._row(key, value, timeout, version)
        self._write("INSERT OR REPLACE INTO entry VALUES (?, ?, ?)", *row)

    def incr(self, key: Any, delta: int = 1, version: int | None = None) -> int:
        """Add to a count and return it. Of several callers at once none is lost."""

        def add_to(connection: sqlite3.Connection) -> int:
            with _transaction(connection):
                found = self.get(key, version=version)
                if found is None:
                    raise ValueError(f"Key {key!r} not found.")
                new: int = found + delta
                changed = (json.dumps(new), self._name(key, version))
                connection.execute("UPDATE entry SET value = ? WHERE key = ?", changed)
            return new

        return self._do(add_to)

    def touch(self, key: Any, timeout: Any = DEFAULT_TIMEOUT, version: int | None = None) -> bool:
        return self._write(
            "UPDATE entry SET expires_at = ? WHERE key = ? AND expires_at > ?",
            *(self._expires_at(timeout), self._name(key, version), time.time()),
        )

    def get(self, key: Any, default: Any = None, version: int | None = None) -> Any:
        return self.get_many([key], version).get(key, default)

    def get_many(self, keys: Iterable[Any], version: int | None = None) -> dict[Any, Any]:
        names = {self._name(key, version): key for key in keys}
        marks = ",".join("?" * len(names))
        asked = f"SELECT key, value FROM entry WHERE key IN ({marks}) AND expires_at > ?"  # noqa: S608
        rows = self._do(lambda file: file.execute(asked, (*names, time.time())).fetchall())
        return {names[name]: json.loads(value) for name, value in rows}

    def delete(self, key: Any, version: int | None = None) -> bool:
        return self._write("DELETE FROM entry WHERE key = ?", self._name(key, version))

    def clear(self) -> None:
        self._write("DELETE FROM entry")

    def _row(
        self, key: Any, value: Any, timeout: Any, version: int | None
    ) -> tuple[str, str, float]:
        return self._name(key, version), json.dumps(value), self._expires_at(timeout)

    def _name(self, key: Any, version: int | None) -> str:
        return str(self.make_and_validate_key(key, version))

    def _expires_at(self, timeout: Any) -> float:
        """Seconds since the epoch; infinite for a key that is kept for good."""
        expires_at = self.get_backend_timeout(timeout)
        return math.inf if expires_at is None else float(expires_at)

    def _write(self, statement: str, *values: Any) -> bool:
        """True if a row was written."""

        def write(connection: sqlite3.Connection) -> bool:
            if next(self._thread.writes) % WRITES_PER_CULL == 0:
                self._cull(connection)
            return connection.execute(statement, values).rowcount > 0

        return self._do(write)

    def _cull(self, connection: sqlite3.Connection) -> None:
        """Make room: first what has expired, and only then what has not, at random."""
        with _transaction(connection):
            connection.execute("DELETE FROM entry WHERE expires_at <= ?", (time.time(),))
            (count,) = connection.execute("SELECT count(*) FROM entry").fetchone()
            if count >= self._max_entries:
                share = count // self._cull_frequency
                connection.execute(
                    "DELETE FROM entry WHERE key IN "
                    "(SELECT key FROM entry ORDER BY random() LIMIT ?)",
                    (share,),
                )

    def _do(self, act: Callable[[sqlite3.Connection], Result]) -> Result:
        """Act on the file; on a new one if it is damaged: what it had is of no lasting worth."""
        try:
            return act(self._connection)
        except sqlite3.DatabaseError as error:
            if not _is_damage(error):
                raise
        with self._alone():
            if self._thread.inode == _inode(self._path):  # nobody else has replaced it
                self._remove()
        return act(self._connection)

    @property
    def _connection(self) -> sqlite3.Connection:
        """The connection of this thread in this process to the file that is there."""
        thread = self._thread
        opened_by = getattr(thread, "pid", None)
        if opened_by != os.getpid() or thread.inode != _inode(self._path):
            if opened_by != os.getpid():
                # SQLite forbids a child even to close what it has inherited.
                thread.inherited = getattr(thread, "connection", None)
            with self._alone():
                thread.connection, thread.inode = self._open(), _inode(self._path)
            thread.pid, thread.writes = os.getpid(), itertools.count()
        connection: sqlite3.Connection = thread.connection
        return connection

    def _open(self) -> sqlite3.Connection:
        try:
            return self._connect()
        except sqlite3.DatabaseError as error:
            if not _is_damage(error):
                raise
        self._remove()
        return self._connect()

    def _connect(self) -> sqlite3.Connection:
        connection = sqlite3.connect(self._path, timeout=BUSY_TIMEOUT, isolation_level=None)
        connection.executescript(_OPEN)
        return connection

    def _remove(self) -> None:
        logger.warning("%s is damaged: it begins anew.", self._path)
        for ending in ("", "-wal", "-shm"):
            Path(f"{self._path}{ending}").unlink(missing_ok=True)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Open or replace the file one at a time: SQLite lets nobody wait while its journal mode
        changes."""
        self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with self._path.with_suffix(".lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


@contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """Hold the write lock from the first read on."""
    connection.execute("BEGIN IMMEDIATE")
    with connection:  # commits, or rolls back
        yield


def _is_damage(error: sqlite3.DatabaseError) -> bool:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    return code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def _inode(path: Path) -> int | None:
    """The number of the file at this path; None if there is none."""
    try:
        return os.stat(path).st_ino  # for each operation: a third of the time
    except FileNotFoundError:
        return None
