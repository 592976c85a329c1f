"""Bounds how long requests wait for the database: for a lock, and for a statement.

Somebody who holds a lock must not stop the threads that serve everybody. Only requests are bounded:
scans, migrations and commands take the time that they need.

The bounds are set with the statement itself, for its transaction. A `SET` for the connection would
leak to others behind a pooler that shares connections by transaction (PgBouncer), which refuses
bounds at the start of a connection, too.
"""

from collections.abc import Callable
from typing import Any

from django.db import connection
from django.http import HttpRequest, HttpResponse

from accounts.authorization.lock_queue import lock_queue

Handler = Callable[[HttpRequest], HttpResponse]
Execute = Callable[[Any, Any, bool, dict[str, Any]], Any]

LOCK_SECONDS = 5
"""For a lock of PostgreSQL. Thirty people who change one account at once wait less, on a busy
machine too."""
STATEMENT_SECONDS = 20
SQLITE_SECONDS = 5
"""For the one lock that all writers share."""
WHOLE_DATABASE = 0
"""Stands for that lock in the queue."""

_BOUNDS = (
    f"SET LOCAL lock_timeout = '{LOCK_SECONDS}s'",
    f"SET LOCAL statement_timeout = '{STATEMENT_SECONDS}s'",
)
_IDLE = 0
"""psycopg's `TransactionStatus` where no transaction has begun."""


def limit_waits(get_response: Handler) -> Handler:
    """Bound all statements of the request."""

    def handle(request: HttpRequest) -> HttpResponse:
        limited = _on_postgresql if connection.vendor == "postgresql" else _on_sqlite
        with connection.execute_wrapper(limited):
            return get_response(request)

    return handle


def _on_postgresql(
    execute: Execute, sql: Any, params: Any, many: bool, context: dict[str, Any]
) -> Any:
    """Send the bounds ahead of the first statement of a transaction, or of the only one, without a
    round trip of their own: PostgreSQL takes several statements at once for one transaction."""
    status = context["connection"].connection.info.transaction_status
    if many or status != _IDLE or not isinstance(sql, str):
        return execute(sql, params, many, context)
    result = execute("; ".join([*_BOUNDS, sql]), params, many, context)
    for _bound in _BOUNDS:
        context["cursor"].nextset()
    return result


def _on_sqlite(execute: Execute, sql: Any, params: Any, many: bool, context: dict[str, Any]) -> Any:
    """Shorten the time that the connection waits, unless it is short already. Where a transaction
    begins, which takes the lock, not all threads wait."""
    database, bound = context["connection"].connection, round(SQLITE_SECONDS * 1000)
    (usual,) = database.execute("PRAGMA busy_timeout").fetchone()
    if usual < bound:
        return execute(sql, params, many, context)
    database.execute(f"PRAGMA busy_timeout = {bound}")
    if not sql.startswith("BEGIN"):
        return execute(sql, params, many, context)
    with lock_queue.place(WHOLE_DATABASE) as may_wait:
        database.execute(f"PRAGMA busy_timeout = {bound if may_wait else 0}")
        try:
            return execute(sql, params, many, context)
        finally:
            database.execute(f"PRAGMA busy_timeout = {bound}")
