"""Pages of lists that may be long: counted no further than a bound, and read by key behind it.

A page by its number has the database read all rows before it. So pages have numbers up to the
bound; those behind it begin at a row (`?after=`) or end at one (`?before=`), which an index finds.
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any, Generic, Protocol, TypeVar

from django.core.paginator import Page, Paginator
from django.db.models import F, Model, Q, QuerySet, Value
from django.db.models.expressions import OrderBy
from django.utils.formats import number_format

MOST_COUNTED = 10_000
"""Rows. Where there are more, pages say "more than 10,000"."""

HIGHEST_KEY = 2**63 - 1

Row = TypeVar("Row", bound=Model)
Row_co = TypeVar("Row_co", bound=Model, covariant=True)


class Rows(Protocol[Row_co]):
    """The rows of a list in their order."""

    def __len__(self) -> int: ...
    def __getitem__(self, part: slice) -> Sequence[Row_co]: ...

    def count_to(self, most: int) -> int:
        """Count the rows, but no further than this."""
        ...

    def beyond(self, key: int, size: int, *, backwards: bool) -> Sequence[Row_co] | None:
        """So many rows that come next after the row with this key, or before it, in the order of
        the list. None if the reader can see no row with this key."""
        ...


class QuerySetRows(Generic[Row]):
    """The rows of an ordered queryset. Keys are looked up `among` all rows that the reader may see:
    the row that a page ended with may have left the list meanwhile."""

    def __init__(self, found: QuerySet[Row], *, among: QuerySet[Row]) -> None:
        self.found, self.among = found, among

    def __len__(self) -> int:
        return self.count_to(MOST_COUNTED + 1)

    def __getitem__(self, part: slice) -> list[Row]:
        return self.read(self.found[part])

    def read(self, part: QuerySet[Row]) -> list[Row]:
        """The rows of a part of the list."""
        return list(part)

    def count_to(self, most: int) -> int:
        # Of the keys alone: what a row is annotated with is not looked up to be counted.
        return self.found.order_by().values("pk")[:most].count()

    def beyond(self, key: int, size: int, *, backwards: bool) -> list[Row] | None:
        found = self.found.reverse() if backwards else self.found
        order = [_as_order(each) for each in found.query.order_by]
        names = [f"_key_{place}" for place in range(len(order))]
        keys: Any = {name: part.expression for name, part in zip(names, order, strict=True)}
        there = self.among.order_by().annotate(**keys).filter(pk=key).values_list(*names).first()
        if there is None:
            return None
        if backwards:
            for each in order:
                each.reverse_ordering()
        behind = found.alias(**keys).filter(_is_behind(list(zip(names, order, there, strict=True))))
        part = self.read(behind[:size])
        return part[::-1] if backwards else part


class BoundedPage(Page):  # type: ignore[type-arg]  # generic in the stubs only
    """A page by its number. Behind the last one `next_key` leads on, if there are more rows."""

    is_keyed = False
    previous_key: int | None = None

    @property
    def shown(self) -> str:
        return f"{self.start_index()}–{self.end_index()}"

    @property
    def next_key(self) -> int | None:
        paginator: Any = self.paginator
        is_last = paginator.has_more and not self.has_next()
        return self.object_list[-1].pk if is_last and self.object_list else None


class BoundedPaginator(Paginator):  # type: ignore[type-arg]  # generic in the stubs only
    """Counts no further than MOST_COUNTED."""

    object_list: Any

    @cached_property
    def found(self) -> int:
        counted: int = self.object_list.count_to(MOST_COUNTED + 1)
        return counted

    @cached_property
    def count(self) -> int:
        return min(self.found, MOST_COUNTED)

    @property
    def has_more(self) -> bool:
        """True if there are more rows than were counted."""
        return self.found > MOST_COUNTED

    @property
    def count_in_words(self) -> str:
        return number_format(self.count, force_grouping=True)

    def _get_page(self, *facts: Any, **named: Any) -> Page:  # type: ignore[type-arg]  # as above
        return BoundedPage(*facts, **named)


class KeyedPage(Generic[Row]):
    """A page that begins after a row of the list, or ends before one. It has no number."""

    is_keyed = True

    def __init__(
        self,
        rows: Sequence[Row],
        paginator: BoundedPaginator,
        *,
        has_previous: bool,
        has_next: bool,
    ) -> None:
        self.object_list, self.paginator = rows, paginator
        self.previous_key = rows[0].pk if has_previous else None
        self.next_key = rows[-1].pk if has_next else None

    @property
    def shown(self) -> str:
        return str(len(self))

    def __len__(self) -> int:
        return len(self.object_list)

    def __iter__(self) -> Iterator[Row]:
        return iter(self.object_list)


def page_of(
    rows: Rows[Row], query: Mapping[str, str], *, size: int
) -> BoundedPage | KeyedPage[Row]:
    """The page that the query of an address asks for: by `after` or `before`, else by `page`.

    What is no number, no key of this reader's, or behind the end leads to the nearest page.
    """
    counted: Any = rows
    paginator = BoundedPaginator(counted, size)
    for name, backwards in (("after", False), ("before", True)):
        key = query.get(name, "")
        if key.isascii() and key.isdecimal() and len(key) < 20 and int(key) <= HIGHEST_KEY:
            found = rows.beyond(int(key), size + 1, backwards=backwards)
            if found:
                return _keyed(found, paginator, size=size, backwards=backwards)
    return paginator.get_page(query.get("page"))  # type: ignore[return-value]  # what `_get_page` makes


def page_range(page: BoundedPage | KeyedPage[Any]) -> list[int | str]:
    """The numbers of pages to lead to; none around a page without a number."""
    if isinstance(page, KeyedPage):
        return []
    return list(page.paginator.get_elided_page_range(page.number))


def _keyed(
    found: Sequence[Row], paginator: BoundedPaginator, *, size: int, backwards: bool
) -> KeyedPage[Row]:
    """The page of these rows, of which one more than fits was looked for: it says that there are
    more that way. The other way is the row from which the page was reached."""
    has_more = len(found) > size
    rows = found[-size:] if backwards else found[:size]
    return KeyedPage(
        rows,
        paginator,
        has_previous=has_more if backwards else True,
        has_next=True if backwards else has_more,
    )


def _as_order(part: Any) -> OrderBy:
    if not isinstance(part, str):
        copy: OrderBy = part.copy()
        return copy
    return OrderBy(F(part.removeprefix("-")), descending=part.startswith("-"))


def _is_behind(parts: list[tuple[str, OrderBy, Any]]) -> Q:
    """The condition of all rows that an order of these expressions puts behind these values."""
    behind, equal = Q(), Q()
    for name, order, value in parts:
        after = _is_after(name, order, value)
        if after is not None:
            behind |= equal & after
        equal &= Q(**{f"{name}__isnull": True}) if value is None else Q(**{name: Value(value)})
    first, order, value = parts[0]
    if value is None or not (order.nulls_first or not order.nulls_last):
        return behind
    # Said once more of all parts together: it is what an index is entered by.
    return behind & Q(**{f"{first}__{'lte' if order.descending else 'gte'}": Value(value)})


def _is_after(name: str, order: OrderBy, value: Any) -> Q | None:
    if value is None:
        return None if order.nulls_last else Q(**{f"{name}__isnull": False})
    after = Q(**{f"{name}__{'lt' if order.descending else 'gt'}": Value(value)})
    return after | Q(**{f"{name}__isnull": True}) if order.nulls_last else after
