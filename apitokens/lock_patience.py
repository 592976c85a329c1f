"""Transactions that do not wait long for locks of others."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from django.db import connection, transaction


@contextmanager
def atomic_within(seconds: float) -> Iterator[None]:
    """A transaction that waits no longer than this for each lock. Raises `OperationalError` then.

    PostgreSQL is told within the transaction: nobody else's is changed, not behind a pooler either.
    SQLite waits where the transaction begins, and is told before.
    """
    if connection.vendor == "sqlite":
        connection.ensure_connection()
        with busy_timeout(connection.connection, round(seconds * 1000)), transaction.atomic():
            yield
        return
    with transaction.atomic():
        with connection.cursor() as cursor:
            bound = f"{round(seconds * 1000)}ms"
            cursor.execute("SELECT set_config('lock_timeout', %s, true)", [bound])
        yield


@contextmanager
def busy_timeout(database: sqlite3.Connection, milliseconds: int) -> Iterator[None]:
    """So long the connection waits for SQLite's lock in the block."""
    (usual,) = database.execute("PRAGMA busy_timeout").fetchone()
    database.execute(f"PRAGMA busy_timeout = {milliseconds}")
    try:
        yield
    finally:
        database.execute(f"PRAGMA busy_timeout = {usual}")
