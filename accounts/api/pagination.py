"""Pages of a list by `limit` and `offset`."""

from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

from drf_spectacular.utils import OpenApiParameter
from rest_framework import serializers
from rest_framework.request import Request

from accounts.api.schema import or_empty
from accounts.validators import is_integer

LIMIT, HIGHEST_LIMIT = 50, 1000
HIGHEST = 2**31
"""What either may be asked for."""


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


def page(
    request: Request, *, count: int, part: Callable[[int, int], list[Any]], key: str = "results"
) -> dict[str, Any]:
    """The body of one page: `part(start, stop)` of `count` entries, and paths to its neighbours.

    They are paths because a proxy may call this host by another name. Raises REST framework's
    `ValidationError` for a limit or offset that makes no sense. Why this is not REST framework's
    own pagination: docs/decisions/0027-where-own-code-stays.md.
    """
    serializer = PageSerializer(data=request.query_params)
    serializer.is_valid(raise_exception=True)
    limit = min(serializer.validated_data["limit"], HIGHEST_LIMIT)
    offset = serializer.validated_data["offset"]

    def path(start: int) -> str:
        return f"{request.path}?{urlencode({'limit': limit, 'offset': start})}"

    return {
        "count": count,
        "next": path(offset + limit) if offset + limit < count else None,
        "previous": path(max(0, offset - limit)) if offset else None,
        key: part(offset, offset + limit),
    }
