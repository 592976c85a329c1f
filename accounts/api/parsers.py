"""Parser of API requests: JSON of bounded depth and of any kind, or an empty body.

Their size is bounded by `DATA_UPLOAD_MAX_MEMORY_SIZE`.
"""

from codecs import BOM_UTF8
from collections.abc import Iterable, Mapping
from io import BytesIO
from typing import IO, Any

from rest_framework.exceptions import ParseError
from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.parsers import BaseParser, JSONParser
from rest_framework.request import Request


class JSONOfAnyKind(DefaultContentNegotiation):
    """Reads `application/…+json` (RFC 6839), such as `application/merge-patch+json`, as JSON."""

    def select_parser(self, request: Request, parsers: Iterable[BaseParser]) -> BaseParser | None:
        kind = (request.content_type or "").partition(";")[0].strip().lower()
        if kind.startswith("application/") and kind.endswith("+json"):
            return next((each for each in parsers if isinstance(each, JSONParser)), None)
        return super().select_parser(request, parsers)


class BoundedJSONParser(JSONParser):
    """JSON, where an empty body is an empty object: the field's clients send
    `Content-Type: application/json` with requests that have none."""

    def parse(
        self,
        stream: IO[Any],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> Any:
        body = stream.read().removeprefix(BOM_UTF8)  # RFC 8259, 8.1: may be ignored
        if not body.strip():
            return {}
        try:
            return super().parse(BytesIO(body), media_type, parser_context)
        except RecursionError:
            raise ParseError("The JSON of the body is nested too deeply.") from None
