"""System checks of the database: migrations, its clock, and how many connections it has."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.core import checks
from django.core.checks import CheckMessage, Tags, register
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.utils import timezone

from notifications.jobs import database_now

FURTHEST_APART = timedelta(seconds=5)
"""Codes of authenticator apps last half a minute, and leases of a worker some minutes."""
OTHERS = 5
"""Connections of a web process beside those of its threads, of a worker with two tasks, of a
command."""
MOST_IN_USE = 0.8


@register(Tags.database, deploy=True)
def migrations_are_applied(
    databases: Sequence[str] | None = None, **_facts: Any
) -> list[CheckMessage]:
    """Code and database must fit."""
    if not databases:
        return []
    missing = unapplied_migrations()
    if not missing:
        return []
    return [
        checks.Error(
            f"{len(missing)} migrations are not applied, {missing[0]} first: parts of the portal "
            "fail.",
            hint="Run manage.py migrate, directly at the database and not through a pooler.",
            id="operations.E001",
        )
    ]


def unapplied_migrations() -> list[str]:
    """The names of the migrations that this code has and the database lacks."""
    executor = MigrationExecutor(connection)
    plan = executor.migration_plan(executor.loader.graph.leaf_nodes())
    return [f"{migration.app_label}.{migration.name}" for migration, _backwards in plan]


@register(Tags.database, deploy=True)
def clocks_agree(databases: Sequence[str] | None = None, **_facts: Any) -> list[CheckMessage]:
    """Tokens expire by the clock of this machine, jobs are due by that of the database."""
    if not databases:
        return []
    apart = abs(timezone.now() - database_now())
    if apart <= FURTHEST_APART:
        return []
    return [
        checks.Warning(
            f"The clocks of this machine and of the database are {apart.total_seconds():.0f} "
            "seconds apart: tokens expire at another time here than elsewhere, and codes of "
            "authenticator apps may be refused.",
            hint="Let both machines follow a time server (chrony, systemd-timesyncd).",
            id="operations.W001",
        )
    ]


@register(Tags.database, deploy=True)
def connections_suffice(
    databases: Sequence[str] | None = None, **_facts: Any
) -> list[CheckMessage]:
    """Each thread of a web process keeps a connection to PostgreSQL."""
    if not databases or connection.vendor != "postgresql":
        return []
    allowed, used = _connections()
    needed = connections_of_a_web() + OTHERS
    if needed <= allowed and used <= MOST_IN_USE * allowed:
        return []
    return [
        checks.Warning(
            f"PostgreSQL allows {allowed} connections, of which {used} are in use, and one "
            f"web with a worker and a beat keeps up to {needed}: when there are no more, requests "
            "are answered 503.",
            hint="Raise max_connections, lower WEB_WORKERS or WEB_THREADS (to 4 at least), or let "
            "PgBouncer share connections by transaction.",
            id="operations.W002",
        )
    ]


def connections_of_a_web() -> int:
    """How many connections the processes of one `permatoken web` keep at most."""
    return int(settings.WEB_WORKERS * (settings.WEB_THREADS + 1))


def _connections() -> tuple[int, int]:
    """How many connections PostgreSQL allows to others than its superusers, and has."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT current_setting('max_connections')::int"
            " - current_setting('superuser_reserved_connections')::int,"
            " (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend')"
        )
        allowed, used = cursor.fetchone()
    return allowed, used
