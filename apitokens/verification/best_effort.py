"""Writes that the answer to a client does not depend on."""

import logging
from collections.abc import Callable

from django.db import Error

from apitokens.lock_patience import atomic_within

WAITS = 0.1
"""Seconds, for a lock that another process or thread holds."""


def best_effort_write(
    write: Callable[[], object], logger: logging.Logger, failed: str, *facts: object
) -> None:
    """Write whole, or not at all: then what `failed` is logged. (On SQLite the transaction may not
    even begin.)"""
    try:
        with atomic_within(WAITS):
            write()
    except Error:
        logger.exception(failed, *facts)
