"""Whether part of a page's query was cut off, because it was too long."""

from collections.abc import Iterable

from django.http import HttpRequest

_CUT = "portal.query_cut"


def mark_as_cut(request: HttpRequest, names: Iterable[str]) -> None:
    """Remember that these parameters are not, or not whole, in the query of the request."""
    request.META[_CUT] = frozenset(names)


def is_query_cut(request: HttpRequest) -> bool:
    """True if a parameter is missing or cut that could say what the page is about."""
    return bool(request.META.get(_CUT, frozenset()) - {"next"})
