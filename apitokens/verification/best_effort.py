"""Writes that the answer to a client does not depend on."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from django.db import Error, transaction


@contextmanager
def best_effort_write(logger: logging.Logger, failed: str, *facts: object) -> Iterator[None]:
    """A write that happens whole, or not at all: then what `failed` is logged."""
    try:
        with transaction.atomic():
            yield
    except Error:
        logger.exception(failed, *facts)
