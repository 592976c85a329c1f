"""Another transaction that holds the row of a token."""

import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager

from django.db import connection

from apitokens.models import APIToken
from tests.conftest import is_on_postgresql


@contextmanager
def row_locked(token: APIToken, *, seconds: float) -> Iterator[None]:
    """Another connection holds the row of the token for so long, or until the block ends. SQLite
    knows no rows: there it holds the lock of all who write."""
    is_held, is_over = threading.Event(), threading.Event()

    def hold() -> None:
        with closing(connection.copy()) as other, other.cursor() as cursor:
            cursor.execute("BEGIN" if is_on_postgresql() else "BEGIN IMMEDIATE")
            cursor.execute("UPDATE apitokens_apitoken SET name = name WHERE id = %s", [token.pk])
            is_held.set()
            is_over.wait(seconds)
            cursor.execute("ROLLBACK")

    holder = threading.Thread(target=hold)
    holder.start()
    assert is_held.wait(timeout=30)
    try:
        yield
    finally:
        is_over.set()
        holder.join()
