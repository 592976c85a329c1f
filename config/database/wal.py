"""Keeps the files in place that SQLite needs beside the database, and makes none in its place.

Readers use a log (-wal) and an index of it (-shm). The last connection that closes deletes them,
and a request closes its own: on a full disk the next one could not make them again, and could not
even read. So each process that serves holds one connection, which does nothing.
"""

import contextlib
import os
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

from django.db import connection

from config.database.turns import TurnTaker

_IN_MEMORY = (":memory:", "file:")


class ExistingOnly(TurnTaker):
    """Opens the file, and does not make it: where a volume is not mounted, an empty database would
    take the place of the real one."""

    def __init__(self, database: str, *facts: Any, **more: Any) -> None:
        if not database.startswith(_IN_MEMORY):
            database, more["uri"] = f"file:{quote(database)}?mode=rw", True
        super().__init__(database, *facts, **more)


def open_existing_only() -> None:
    """From now on this process serves: what prepares (`migrate`, the launcher) makes the file."""
    if connection.vendor == "sqlite":
        connection.settings_dict["OPTIONS"]["factory"] = ExistingOnly


@contextlib.contextmanager
def existing_only() -> Iterator[None]:
    """The same for the block, where it is not known yet what the process will do."""
    options = connection.settings_dict["OPTIONS"]
    usual = dict(options)
    open_existing_only()
    try:
        yield
    finally:
        options.clear()
        options.update(usual)


class FileHolder:
    """Holds the database of this process open. It must not be inherited by a fork: SQLite's locks
    are not. So it opens with the first request."""

    def __init__(self) -> None:
        self._held: list[sqlite3.Connection] = []
        self._pid = 0

    def hold(self) -> None:
        """Idempotent; does nothing if the database is not a file, or cannot be opened now."""
        if self._pid == os.getpid():
            return
        path = Path(str(connection.settings_dict["NAME"]))
        if not path.is_file():
            return
        with contextlib.suppress(sqlite3.Error):
            opened = sqlite3.connect(
                f"file:{quote(str(path))}?mode=rw", uri=True, check_same_thread=False
            )
            opened.execute("SELECT count(*) FROM sqlite_master").fetchone()  # opens the log
            self._held.append(opened)  # an inherited one stays, too: it must not even be closed
            self._pid = os.getpid()
