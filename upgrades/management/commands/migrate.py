"""`manage.py migrate`: Django's, which holds nobody up."""

from collections.abc import Iterator
from contextlib import contextmanager
from time import sleep
from typing import Any

from django.core.management.base import CommandError
from django.core.management.commands import migrate
from django.db import OperationalError, connections
from django.db.backends.base.base import BaseDatabaseWrapper

WAIT_FOR_LOCKS = "5s"
"""On PostgreSQL. All who want the table queue behind a migration that waits for it."""
PAUSES = (5, 10, 20, 40, 60, 60)
"""Seconds between tries, in which the others go on."""
OTHERS_WENT_FIRST = ("55P03", "40P01")
"""SQLSTATE of a lock that was not to be had in time, and of a deadlock."""
ONE_AT_A_TIME = 5_706_174_901
"""The advisory lock of the one who migrates this database."""


class Command(migrate.Command):
    help = (
        f"{migrate.Command.help} On PostgreSQL a migration waits {WAIT_FOR_LOCKS} for a lock at "
        "most, gives way, and tries again."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        connection = connections[options["database"]]
        if connection.vendor != "postgresql" or options["plan"] or options["check_unapplied"]:
            super().handle(*args, **options)
        else:
            with self._alone(connection):
                self._migrate(connection, *args, **options)

    def _migrate(self, connection: BaseDatabaseWrapper, *args: Any, **options: Any) -> None:
        for pause in (*PAUSES, None):
            try:
                self._give_way(connection, *args, **options)
            except OperationalError as error:
                if getattr(error.__cause__, "sqlstate", None) not in OTHERS_WENT_FIRST:
                    raise
                if pause is None:
                    raise CommandError(
                        "Others hold a table that a migration wants, and have not let go of it: "
                        "look for long transactions in pg_stat_activity, and run this again."
                    ) from None
                self.stderr.write(
                    f"A table was not to be had within {WAIT_FOR_LOCKS}. Others go first; "
                    f"trying again in {pause} seconds."
                )
                sleep(pause)
            else:
                return

    @contextmanager
    def _alone(self, connection: BaseDatabaseWrapper) -> Iterator[None]:
        """Let one process migrate at a time. It asks now and again, because an index that is built
        concurrently waits for everybody who waits inside of a statement."""
        waits = False
        while not _ask(connection, "SELECT pg_try_advisory_lock(%s)"):
            if not waits:
                self.stderr.write("Another process migrates this database: waiting for it.")
            waits = True
            sleep(1)
        try:
            yield
        finally:
            if connection.is_usable():
                _ask(connection, "SELECT pg_advisory_unlock(%s)")

    def _give_way(self, connection: BaseDatabaseWrapper, *args: Any, **options: Any) -> None:
        """Migrate, and wait for no lock longer than `WAIT_FOR_LOCKS`."""
        with connection.cursor() as cursor:
            cursor.execute("SELECT current_setting('lock_timeout')")
            before = cursor.fetchone()[0]
            cursor.execute("SELECT set_config('lock_timeout', %s, false)", [WAIT_FOR_LOCKS])
        try:
            super().handle(*args, **options)
        finally:
            if connection.is_usable():
                with connection.cursor() as cursor:
                    cursor.execute("SELECT set_config('lock_timeout', %s, false)", [before])


def _ask(connection: BaseDatabaseWrapper, question: str) -> bool:
    with connection.cursor() as cursor:
        cursor.execute(question, [ONE_AT_A_TIME])
        return bool(cursor.fetchone()[0])
