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

Search = Sequence[tuple[str, QuerySet[Any]]]
"""Fields that lead to other tables, and the rows that fit there."""


class OperatorsPaginator(BoundedPaginator):
    """Counts no further than a list of the portal does, and has no page behind that: who looks for
    something older narrows the list, or turns its order round. Finds the rows of a page by ids."""

    @cached_property
    def found(self) -> int:
        counted: int = self.object_list.order_by().values("pk")[: MOST_COUNTED + 1].count()
        return counted

    def _get_page(self, part: Any, number: int, paginator: Any) -> Any:
        rows: Any = self.object_list
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


def users_named(word: str) -> QuerySet[User]:
    return User.objects.filter(Q(name__icontains=word) | Q(email__icontains=word))


def users_with_address(word: str) -> QuerySet[User]:
    return User.objects.filter(email__icontains=word)


def accounts_named(word: str) -> QuerySet[Account]:
    return Account.objects.filter(name__icontains=word)
