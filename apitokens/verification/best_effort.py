"""Writes that the answer to a client does not depend on."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from django.db import Error

from apitokens.lock_patience import atomic_within

WAITS = 0.1
"""Seconds, for a lock that somebody else has."""


@contextmanager
def best_effort_write(logger: logging.Logger, failed: str, *facts: object) -> Iterator[None]:
    """A write that happens whole, or not at all: then what `failed` is logged."""
    try:
        with atomic_within(WAITS):
            yield
    except Error:
        logger.exception(failed, *facts)
