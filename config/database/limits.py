"""Bounds how long requests wait for the database: for a lock, and for a statement.

A caller who holds a lock must not stop the threads that serve everybody (`places` beside this says
how many may wait). Only requests are bounded: scans, migrations and commands take the time that
they need.

The bounds are set with the statement itself, for its transaction. A `SET` for the connection would
leak to others behind a pooler that shares connections by transaction (PgBouncer), which refuses
bounds at the start of a connection, too.
"""

import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing, suppress
from time import monotonic
from typing import Any

from django.db import connection
from django.http import HttpRequest, HttpResponse

from apitokens.lock_patience import busy_timeout
from config.database.places import NoPlace, Place, places
from config.database.turns import NoTurn, TurnTaker, turns

Handler = Callable[[HttpRequest], HttpResponse]
Execute = Callable[[Any, Any, bool, dict[str, Any]], Any]

LOCK_SECONDS = 5
"""For a lock of PostgreSQL. Thirty people who change one account at once wait less, on a busy
machine too."""
STATEMENT_SECONDS = 20
SQLITE_SECONDS = 5
"""For the one lock that all writers share."""
GIVES_WAY_SECONDS = 0.1
"""For which a request lets a thread of the process go ahead that has that lock."""

_INTERPRETED = "SET LOCAL jit = off"
"""PostgreSQL compiles for half a second what it believes to take long. No request does."""
_PATIENT = (
    f"SET LOCAL lock_timeout = '{LOCK_SECONDS}s'",
    f"SET LOCAL statement_timeout = '{STATEMENT_SECONDS}s'",
    _INTERPRETED,
)
_IMPATIENT = (
    "SET LOCAL lock_timeout = '50ms'",
    "SET LOCAL statement_timeout = '1s'",
    _INTERPRETED,
)
_BRIEF = ("SET LOCAL statement_timeout = '1s'",)
"""For what is asked thousands of times a second, and waits for no row: the time for a lock of the
whole table is in it, too."""
_BEGIN = "BEGIN IMMEDIATE"
_IDLE = 0
"""psycopg's `TransactionStatus` where no transaction has begun."""


def limit_waits(get_response: Handler) -> Handler:
    """Bound all statements of the request."""

    def handle(request: HttpRequest) -> HttpResponse:
        with places.take(is_patient=True) as place:
            bounds = _PATIENT if place.may_wait else _IMPATIENT
            seconds = SQLITE_SECONDS if place.may_wait else 0
            bounded = _bound_by(place, bounds, seconds, gives_way=True)
            with closing(bounded), connection.execute_wrapper(bounded):
                return get_response(request)

    return handle


class brief_waits:  # noqa: N801  # a context manager
    """Bounds all statements of the block to about a second, unless nobody else asks the database:
    one that waits keeps nobody waiting, and a bound costs verification a tenth of its time. Raises
    `OperationalError`."""

    __slots__ = ("_bounded", "_even_alone", "_room")

    def __init__(self, *, even_alone: bool = False) -> None:
        self._room, self._even_alone = places.all, even_alone
        self._bounded: _OnPostgreSQL | _OnSQLite | None = None

    def __enter__(self) -> None:
        if not self._room.enter():
            raise NoPlace
        if self._even_alone or self._room.inside > 1:
            self._bounded = _bound_by(Place(self._room, may_wait=False), _BRIEF, 1)
            connection.execute_wrappers.append(self._bounded)

    def __exit__(self, kind: object, *_error: object) -> None:
        if self._bounded is not None:
            connection.execute_wrappers.remove(self._bounded)
            self._bounded.close()
        elif kind is None:
            self._room.move()
        self._room.leave()


def _bound_by(
    place: Place, bounds: tuple[str, ...], sqlite_seconds: float, *, gives_way: bool = False
) -> "_OnPostgreSQL | _OnSQLite":
    if connection.vendor == "postgresql":
        return _OnPostgreSQL(place, bounds)
    return _OnSQLite(place, sqlite_seconds, gives_way=gives_way)


class _OnPostgreSQL:
    """Sends the bounds ahead of the first statement of a transaction, or of the only one, without a
    round trip of their own: PostgreSQL takes several statements at once for one transaction."""

    def __init__(self, place: Place, bounds: tuple[str, ...]) -> None:
        self._place, self._bounds = place, bounds
        self._ahead = "; ".join([*bounds, ""])

    def __call__(
        self, execute: Execute, sql: Any, params: Any, many: bool, context: dict[str, Any]
    ) -> Any:
        status = context["connection"].connection.info.transaction_status
        if many or status != _IDLE or not isinstance(sql, str):
            result = execute(sql, params, many, context)
        else:
            result = execute(self._ahead + sql, params, many, context)
            for _bound in self._bounds:
                context["cursor"].nextset()
        self._place.move()
        return result

    def close(self) -> None:
        """The bounds have ended with their transactions."""


class _OnSQLite:
    """Shortens the time that the connection waits, unless it is short already."""

    def __init__(self, place: Place, seconds: float, *, gives_way: bool) -> None:
        self._place, self._bound, self._gives_way = place, round(seconds * 1000), gives_way
        self._in_vain: threading.Lock | None = None
        self._seen: sqlite3.Connection | None = None
        self._shortened: tuple[sqlite3.Connection, int] | None = None

    def __call__(
        self, execute: Execute, sql: Any, params: Any, many: bool, context: dict[str, Any]
    ) -> Any:
        database = context["connection"].connection
        has_turn = isinstance(database, TurnTaker) and database.has_turn
        if sql == _BEGIN and isinstance(database, TurnTaker) and not has_turn:
            result = self._begin(database, execute, sql, params, many, context)
        else:
            if self._gives_way and not has_turn:
                self._in_vain = turns.give_way(seconds=GIVES_WAY_SECONDS, but=self._in_vain)
            # Readers wait for no lock: to ask before each statement would be half of all of them.
            if database is not self._seen or not str(sql).startswith("SELECT"):
                self._shorten(database)
            result = execute(sql, params, many, context)
        self._place.move()
        return result

    def _begin(self, database: TurnTaker, execute: Execute, *statement: Any) -> Any:
        """Begin to write when those before have ended, and wait no longer for both together."""
        patience, began = self._shorten(database), monotonic()
        if not database.take_turn(seconds=patience / 1000):
            raise NoTurn
        waited = round(1000 * (monotonic() - began))
        try:
            with busy_timeout(database, max(0, patience - waited)):
                begun = execute(*statement)
        except BaseException:
            database.leave_turn()
            raise
        turns.begin_writing()
        return begun

    def _shorten(self, database: sqlite3.Connection) -> int:
        """Returns how long it waits now, in milliseconds."""
        self._seen = database
        (usual,) = database.execute("PRAGMA busy_timeout").fetchone()
        if usual <= self._bound:
            return int(usual)
        database.execute(f"PRAGMA busy_timeout = {self._bound}")
        self._shortened = database, usual
        return self._bound

    def close(self) -> None:
        """Let the connection wait as long as it did before."""
        if self._shortened is not None:
            database, usual = self._shortened
            with suppress(sqlite3.ProgrammingError):  # it is closed
                database.execute(f"PRAGMA busy_timeout = {usual}")
