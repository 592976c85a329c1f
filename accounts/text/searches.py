"""Searches over several tables: each is searched by itself, by its own index."""

from typing import Any

from django.db.models import QuerySet

MOST_IDS = 1_000


def ids_or_query(found: QuerySet[Any]) -> list[int] | QuerySet[Any]:
    """The keys of the rows, for a condition "is one of these" beside others of which one is enough.

    An index answers such a condition for a list of keys, and for no query. A search that finds very
    many rows stays a query: it is a common word, and a list of what it is in ends soon.
    """
    ids = list(found.order_by().values_list("pk", flat=True)[: MOST_IDS + 1])
    return ids if len(ids) <= MOST_IDS else found.order_by().values("pk")
