"""Watches statements: measures them, and drops connections to a database that turned read-only.

After a failover a kept connection may still lead to the former server. It answers every question
that Django asks to see whether it is well, and refuses each change until it is closed.
"""

from collections.abc import Callable
from time import perf_counter
from typing import Any

from django.db import Error

from config.database.outages import Outage, outage_of
from telemetry.metrics import DATABASE_SECONDS

Execute = Callable[[Any, Any, bool, dict[str, Any]], Any]


def watch(*, connection: Any, **_facts: Any) -> None:
    """Receiver of `connection_created`."""
    if _watch_statement not in connection.execute_wrappers:
        connection.execute_wrappers.insert(0, _watch_statement)


def _watch_statement(
    execute: Execute, sql: Any, params: Any, many: bool, context: dict[str, Any]
) -> Any:
    began = perf_counter()
    try:
        return execute(sql, params, many, context)
    except Error as error:
        if outage_of(error) is Outage.READ_ONLY:
            # Django closes it when the request or the task ends, as one that is too old.
            context["connection"].close_at = 0
        raise
    finally:
        DATABASE_SECONDS.observe(perf_counter() - began)
