"""Parser of API requests: JSON of bounded depth, or an empty body.

Their size is bounded by `DATA_UPLOAD_MAX_MEMORY_SIZE`.
"""

from collections.abc import Mapping
from io import BytesIO
from typing import IO, Any

from rest_framework.exceptions import ParseError
from rest_framework.parsers import JSONParser


class BoundedJSONParser(JSONParser):
    """JSON, where an empty body is an empty object: the field's clients send
    `Content-Type: application/json` with requests that have none."""

    def parse(
        self,
        stream: IO[Any],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> Any:
        body = stream.read()
        if not body.strip():
            return {}
        try:
            return super().parse(BytesIO(body), media_type, parser_context)
        except RecursionError:
            raise ParseError("The JSON of the body is nested too deeply.") from None
