"""Tells whether this process can answer: database, migrations, peppers, static files of pages.

Mails that are late, or a database that can only be read, are none of its business: tokens are
verified all the same, and a load balancer must not take every process out for them.
"""

import time
from collections.abc import Callable
from functools import cache
from typing import NamedTuple

from django.conf import settings
from django.db import Error, connection
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.recorder import MigrationRecorder
from django.utils import timezone

from apitokens.checks import static_files_are_collected
from apitokens.pepper_checks import faults

OK = "ok"
EVERYTHING = "everything"
"""The value of `SERVES` of a process that has pages."""
REMEMBERED_SECONDS = 10.0
"""For what does not change by itself, and costs more than a question."""


class Readiness(NamedTuple):
    """What was looked at, and for each of it "ok", or a sentence about what to do."""

    checks: dict[str, str]

    @property
    def is_ready(self) -> bool:
        return all(each == OK for each in self.checks.values())


class _Remembered:
    """An answer that is good for some seconds. Only "ok" is remembered: what was mended is seen."""

    def __init__(self, ask: Callable[[], str]) -> None:
        self._ask = ask
        self.good_until = 0.0

    def __call__(self) -> str:
        if time.monotonic() < self.good_until:
            return OK
        answer = self._ask()
        if answer == OK:
            self.good_until = time.monotonic() + REMEMBERED_SECONDS
        return answer


def readiness() -> Readiness:
    """Ask the database, and the disk. What needs a database that is away is left out."""
    try:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
        checks = {"database": OK, "migrations": migrations(), "peppers": peppers()}
    except Error:
        checks = {"database": "The database isn't responding."}
    if settings.SERVES == EVERYTHING:
        checks["static_files"] = static_files()
    return Readiness(checks)


def _migrations() -> str:
    applied = MigrationRecorder(connection).applied_migrations()
    missing = sorted(newest_migrations() - applied.keys())
    if not missing:
        return OK
    app, name = missing[0]
    return f"The database is older than this code ({app}.{name}): run manage.py migrate."


@cache
def newest_migrations() -> frozenset[tuple[str, str]]:
    """The last migration of each app that this code has. Newer ones in the database are welcome: a
    release runs on the database of the next."""
    return frozenset(MigrationLoader(None).graph.leaf_nodes())


def _peppers() -> str:
    return " ".join(faults(timezone.now())) or OK


def _static_files() -> str:
    missing = static_files_are_collected()
    return str(missing[0].hint) if missing else OK


migrations = _Remembered(_migrations)
peppers = _Remembered(_peppers)
static_files = _Remembered(_static_files)
