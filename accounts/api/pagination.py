"""Pages of a list by `limit` and `offset`, or all of it in one array up to a bound."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from django.http import HttpResponse
from drf_spectacular.utils import OpenApiParameter
from rest_framework import serializers
from rest_framework.renderers import JSONRenderer
from rest_framework.request import Request
from rest_framework.response import Response

from accounts.api.parsers import refuse_repeated
from accounts.api.schema import or_empty
from accounts.validators import is_integer
from notifications.bounded_pages import MOST_COUNTED

LIMIT, HIGHEST_LIMIT = 50, 1000
HIGHEST = 2**31
"""What either may be asked for."""
MOST_AT_ONCE = 10_000
"""Entries of an answer to a call that names neither."""
WRITTEN_AT_ONCE = 2_000


class QueryIntegerField(serializers.IntegerField):
    """A whole number in an address. Other spellings of one (`1.0`, `+1`, ` 1`) are refused."""

    def to_internal_value(self, data: Any) -> int:
        if not is_integer(str(data)):
            self.fail("invalid")
        return super().to_internal_value(data)


class PageSerializer(serializers.Serializer[Any]):
    """The parameters of a page."""

    limit = QueryIntegerField(min_value=1, max_value=HIGHEST, default=LIMIT)
    offset = QueryIntegerField(min_value=0, max_value=HIGHEST, default=0)


LIMIT_PARAMETER, OFFSET_PARAMETER = (
    OpenApiParameter(
        "limit",
        or_empty({"type": "integer", "minimum": 1, "maximum": HIGHEST}),
        description=f"Maximum number of results, up to {HIGHEST_LIMIT}. Default: {LIMIT}.",
    ),
    OpenApiParameter(
        "offset",
        or_empty({"type": "integer", "minimum": 0, "maximum": HIGHEST}),
        description="Number of results to skip.",
    ),
)


Part = Callable[[int, int], list[Any]]
"""Gives the entries from one place up to another."""


def is_paged(request: Request) -> bool:
    """True if a call asks for a page. Official clients ask for everything, and get an array. A
    parameter that is empty is as if it were left out."""
    asked = (request.query_params.getlist(name) for name in ("limit", "offset"))
    return any(values not in ([], [""]) for values in asked)


def whole_or_page(request: Request, *, count: int, part: Part) -> HttpResponse:
    """The answer of a list: one page if the call asks for one, else all of it."""
    if is_paged(request):
        return Response(page(request, count=count, part=part))
    return array(count=count, part=part)


def page(request: Request, *, count: int, part: Part, key: str = "results") -> dict[str, Any]:
    """The body of one page: `part(start, stop)` of `count` entries, and paths to its neighbours.

    Nobody counts further than MOST_COUNTED: of a longer list that is the `count`, and `next` leads
    on for as long as there are entries. They are paths because a proxy may call this host by
    another name. Raises REST framework's `ValidationError` for a limit or offset that makes no
    sense. Why this is not REST framework's own pagination:
    docs/decisions/0027-where-own-code-stays.md.
    """
    refuse_repeated(request.query_params, PageSerializer().fields)
    serializer = PageSerializer(data=request.query_params)
    serializer.is_valid(raise_exception=True)
    limit = min(serializer.validated_data["limit"], HIGHEST_LIMIT)
    offset = serializer.validated_data["offset"]
    entries = part(offset, offset + limit)
    is_counted = count <= MOST_COUNTED
    goes_on = offset + limit < count if is_counted else len(entries) == limit

    def path(start: int) -> str:
        query = request.query_params.copy()
        for name, number in (("limit", limit), ("offset", start)):
            query.pop(name, None)
            query[name] = str(number)
        return f"{request.path}?{query.urlencode()}"

    return {
        "count": min(count, MOST_COUNTED),
        "next": path(offset + limit) if goes_on else None,
        "previous": path(max(0, offset - limit)) if offset else None,
        key: entries,
    }


def array(*, count: int, part: Part) -> HttpResponse:
    """All entries in one array, which is written some entries at a time: what programs read in a
    moment takes ten times the memory as objects.

    Raises REST framework's `ValidationError` if they are more than MOST_AT_ONCE.
    """
    if count > MOST_AT_ONCE:
        raise serializers.ValidationError(
            {
                "limit": [
                    f"There are more than {MOST_AT_ONCE:,}. Ask for them in pages: add limit, up "
                    f"to {HIGHEST_LIMIT:,}, and offset."
                ]
            }
        )
    starts = range(0, count, WRITTEN_AT_ONCE)
    written = (part(start, start + WRITTEN_AT_ONCE) for start in starts)
    return HttpResponse(_array(written), content_type="application/json")


def _array(parts: Iterable[list[Any]]) -> Iterator[bytes]:
    renderer = JSONRenderer()
    yield b"["
    separator = b""
    for part in parts:
        if part:
            yield separator + renderer.render(part)[1:-1]
            separator = b","
    yield b"]"
