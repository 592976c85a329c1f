"""How the operators' lists stay quick over millions of rows: counts, pages and searches."""

from collections.abc import Iterator, Sequence
from functools import cached_property, reduce
from operator import or_
from typing import Any

from django.core.paginator import Page
from django.db.models import Q, QuerySet
from django.utils.text import smart_split, unescape_string_literal

from accounts.models import Account, User
from accounts.text.searches import ids_or_query
from notifications.bounded_pages import MOST_COUNTED, BoundedPaginator

SHORTEST_PART = 3
"""Characters that a word needs to be found inside of a text."""

Search = Sequence[tuple[str, QuerySet[Any]]]
"""Fields that lead to other tables, and the rows that fit there."""


class OperatorsPaginator(BoundedPaginator):
    """Counts no further than a list of the portal does, and has no page behind that: who looks for
    something older narrows the list, or turns its order round. Finds the rows of a page by ids."""

    @cached_property
    def found(self) -> int:
        rows = self.object_list.order_by().values("pk")[: MOST_COUNTED + 1]
        return len(self._keys) if self._is_narrowed else int(rows.count())

    @property
    def _is_narrowed(self) -> bool:
        return bool(self.object_list.query.where)

    @cached_property
    def _keys(self) -> list[Any]:
        """The keys of what was found, for lists that are narrowed: looking for the newest of few
        rows, the database would walk down the order of time through the whole table."""
        return list(self.object_list.order_by().values_list("pk", flat=True)[: MOST_COUNTED + 1])

    def _get_page(self, part: Any, number: int, paginator: Any) -> Any:
        rows: Any = self.object_list
        if self._is_narrowed and not self.has_more:
            start = (number - 1) * self.per_page
            part = rows.filter(pk__in=self._keys)[start : start + self.per_page]
        if self.count <= self.per_page:
            return Page(list(part), number, paginator)
        ids = list(part.values_list("pk", flat=True))
        found = {row.pk: row for row in rows.order_by().filter(pk__in=ids)}
        return Page([found[each] for each in ids if each in found], number, paginator)


def words_in(text: str) -> Iterator[str]:
    """The words of a search, as the Django admin splits them: in quotes they belong together."""
    for word in smart_split(text):
        quoted = word.startswith(('"', "'")) and word[0] == word[-1] and len(word) > 1
        yield unescape_string_literal(word) if quoted else word


def fits(own: Q, elsewhere: Search) -> Q:
    """The condition of rows that fit by themselves, or by what they lead to."""
    return reduce(
        or_, (Q(**{f"{field}__in": ids_or_query(rows)}) for field, rows in elsewhere), own
    )


class Inside(str):
    """A word that is looked for inside of texts, however short it is: another one is long enough
    for an index, and narrows the list."""

    __slots__ = ()


def is_short(word: str) -> bool:
    """True for a word that no index finds inside of a text."""
    return len(word) < SHORTEST_PART and not isinstance(word, Inside)


def has(field: str, word: str) -> Q:
    """The condition of rows that have the word in this field; a short one at its beginning."""
    return Q(**{f"{field}__{'ibegins' if is_short(word) else 'icontains'}": word})


def users_named(word: str) -> QuerySet[User]:
    return User.objects.filter(has("name", word) | has("email", word))


def users_with_address(word: str) -> QuerySet[User]:
    return User.objects.filter(has("email", word))


def accounts_named(word: str) -> QuerySet[Account]:
    return Account.objects.filter(has("name", word))
