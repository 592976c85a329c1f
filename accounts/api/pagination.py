"""Lists by `limit` and `offset`."""

from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

from rest_framework import serializers
from rest_framework.request import Request

LIMIT, HIGHEST_LIMIT = 50, 1000


class PageSerializer(serializers.Serializer[Any]):
    """Which part of a list is wanted."""

    limit = serializers.IntegerField(
        min_value=1, default=LIMIT, help_text=f"How many at the most; never above {HIGHEST_LIMIT}."
    )
    offset = serializers.IntegerField(
        min_value=0, max_value=2**31, default=0, help_text="How many to leave out at the beginning."
    )


def page(
    request: Request, *, count: int, part: Callable[[int, int], list[Any]], key: str = "results"
) -> dict[str, Any]:
    """One page, `part(start, stop)`, of `count` entries, with the addresses of its neighbours:
    paths, because a proxy may call this host by another name."""
    asked = PageSerializer(data=request.query_params)
    asked.is_valid(raise_exception=True)
    limit, offset = (
        min(asked.validated_data["limit"], HIGHEST_LIMIT),
        asked.validated_data["offset"],
    )

    def address(start: int) -> str:
        return f"{request.path}?{urlencode({'limit': limit, 'offset': start})}"

    return {
        "count": count,
        "next": address(offset + limit) if offset + limit < count else None,
        "previous": address(max(0, offset - limit)) if offset else None,
        key: part(offset, offset + limit),
    }
