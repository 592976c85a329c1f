"""The events of a reader as a union of parts, each of which one index has in the order of time.

"Of the account, or about one of its people" is two indices. Asked for in one question, the database
walks the whole log, or collects everything and sorts it; asked for one by one, each part ends after
the rows of a page.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from functools import reduce
from heapq import merge
from itertools import islice, product
from operator import and_, or_
from typing import Any

from django.db.models import Q

from accounts.models import AuditEvent, AuditEventQuerySet
from notifications.bounded_pages import MOST_COUNTED

Key = tuple[datetime, int]
"""What events are sorted by: the time, and the id among those of the same moment."""
Values = tuple[Any, ...]
"""Of an event: its key, and what else was asked for."""


class Events:
    """The events that fit one alternative of each condition, newest first."""

    def __init__(
        self, *conditions: Sequence[Q], among: Events | None = None, counted: Events | None = None
    ) -> None:
        self.conditions = conditions
        self.among = self if among is None else among
        """All events that the reader may see: keys are looked up there."""
        self.counted = self if counted is None else counted
        """The same events, in words by which a database counts them sooner."""

    @classmethod
    def none(cls) -> Events:
        return cls([])

    def narrowed(self, *alternatives: Q) -> Events:
        """Those of the events that fit one of these, too."""
        counted = None if self.counted is self else self.counted.narrowed(*alternatives)
        return Events(*self.conditions, alternatives, among=self.among, counted=counted)

    def together(self) -> AuditEventQuerySet:
        """All of them in one query, for few or single ones."""
        if not all(self.conditions):
            return AuditEvent.objects.none().newest_first()
        every = (reduce(or_, alternatives) for alternatives in self.conditions)
        return AuditEvent.objects.filter(*every).newest_first()

    def parts(self) -> list[AuditEventQuerySet]:
        """Querysets that have no event in common."""
        choices = [list(_disjoint(alternatives)) for alternatives in self.conditions]
        return [
            AuditEvent.objects.filter(reduce(and_, chosen)).newest_first()
            for chosen in product(*choices)
        ]

    def count_to(self, most: int) -> int:
        """Count them, but no further than this."""
        counted = 0
        for part in self.counted.parts():
            # The time alone, which is in every index: no event is read to be counted.
            counted += part.order_by().values("at")[: most - counted].count()
            if counted >= most:
                break
        return counted

    def __len__(self) -> int:
        return self.count_to(MOST_COUNTED + 1)

    def __getitem__(self, part: slice) -> list[AuditEvent]:
        """The events of a page: their keys from each part, and then the rows of those it shows."""
        start, stop = part.start or 0, part.stop
        if stop > 2 * MOST_COUNTED:  # so many keys are no longer cheaper than one long walk
            return list(self.together().select_related("user")[start:stop])
        return _read(_newest(self.parts(), stop)[start:])

    def beyond(self, key: int, size: int, *, backwards: bool) -> list[AuditEvent] | None:
        """The events after (or before) the one with this id, which the reader must see."""
        event = self.among.together().filter(pk=key).first()
        if event is None:
            return None
        return self.later(event, size) if backwards else self.earlier(event, size)

    def earlier(self, event: AuditEvent, size: int) -> list[AuditEvent]:
        """So many that come next after this one, which is further back in time."""
        return _read(_newest(self._before((event.at, event.pk)), size))

    def _before(self, key: Key) -> list[AuditEventQuerySet]:
        at, pk = key
        # The bound of the time stands by itself: it is what an index is entered by.
        return [each.filter(Q(at__lt=at) | Q(pk__lt=pk), at__lte=at) for each in self.parts()]

    def later(self, event: AuditEvent, size: int) -> list[AuditEvent]:
        """So many that come right before this one."""
        ahead = Q(at__gt=event.at) | Q(pk__gt=event.pk)
        parts = [
            _values(each.filter(ahead, at__gte=event.at).reverse()[:size]) for each in self.parts()
        ]
        return _read(list(islice(merge(*parts), size)))

    def values_in_parts(self, size: int, *names: str) -> Iterator[list[Values]]:
        """The time, the id and what has these names of all of them, in lists that are queried one
        by one, for a file that is sent slowly."""
        rows = _newest(self.parts(), size, *names)
        while rows:
            yield rows
            at, pk, *_rest = rows[-1]
            rows = _newest(self._before((at, pk)), size, *names)


def _disjoint(alternatives: Sequence[Q]) -> Iterator[Q]:
    """Each alternative without what fits one before it."""
    for place, each in enumerate(alternatives):
        yield reduce(and_, (~before for before in alternatives[:place]), each)


def _values(part: AuditEventQuerySet, *names: str) -> list[Values]:
    return list(part.values_list("at", "pk", *names))


def _newest(parts: Sequence[AuditEventQuerySet], number: int, *names: str) -> list[Values]:
    """The values of so many of the newest events. Of a part after others only what is not older
    than those they had is looked for: most of the time that is next to nothing."""
    newest: list[Values] = []
    for part in parts:
        if newest and len(newest) == number:
            part = part.filter(at__gte=newest[-1][0])
        found = _values(part[:number], *names)
        newest = list(islice(merge(newest, found, reverse=True), number)) if newest else found
    return newest


def _read(keys: Sequence[Values]) -> list[AuditEvent]:
    """The rows of these keys, newest first."""
    ids = [key[1] for key in keys]
    found = AuditEvent.objects.filter(pk__in=ids).select_related("user")
    return list(found.newest_first())
