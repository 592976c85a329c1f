"""Functions of connections to SQLite, by which it searches and sorts as PostgreSQL does."""

from collections.abc import Callable
from functools import partial
from typing import Any

from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.backends.signals import connection_created
from django.dispatch import receiver

from accounts.text.expressions import FOLD, SORT_KEY
from accounts.text.folding import fold, sort_key


@receiver(connection_created)
def register_functions(connection: BaseDatabaseWrapper, **_facts: Any) -> None:
    """Register them on a new connection."""
    if connection.vendor == "sqlite":
        create = partial(connection.connection.create_function, deterministic=True)
        create(FOLD, 1, _unless_null(fold))
        create(SORT_KEY, 2, _unless_null(sort_key))


def _unless_null(function: Callable[..., Any]) -> Callable[..., Any]:
    """As functions in SQL, which answer NULL for NULL."""
    return lambda text, *rest: None if text is None else function(str(text), *rest)
