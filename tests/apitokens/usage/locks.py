"""Another transaction that holds the row of a token."""

import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager

from django.db import connection

from apitokens.models import APIToken
from tests.conftest import is_on_postgresql


@contextmanager
def row_locked(token: APIToken, *, seconds: float) -> Iterator[None]:
    """Another connection holds the row of the token for so long. SQLite knows no rows: there it
    holds the lock of all who write."""
    is_held = threading.Event()

    def hold() -> None:
        with closing(connection.copy()) as other, other.cursor() as cursor:
            cursor.execute("BEGIN" if is_on_postgresql() else "BEGIN IMMEDIATE")
            cursor.execute("UPDATE apitokens_apitoken SET name = name WHERE id = %s", [token.pk])
            is_held.set()
            threading.Event().wait(seconds)
            cursor.execute("ROLLBACK")

    holder = threading.Thread(target=hold)
    holder.start()
    assert is_held.wait(timeout=30)
    yield
    holder.join()
