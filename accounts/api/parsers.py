"""Bodies of API requests: JSON, of a bounded size, and only if there is one."""

from collections.abc import Mapping
from io import BytesIO
from typing import IO, Any

from django.conf import settings
from rest_framework import status
from rest_framework.exceptions import APIException
from rest_framework.parsers import JSONParser


class TooLarge(APIException):
    status_code = status.HTTP_413_REQUEST_ENTITY_TOO_LARGE
    default_detail = "The body is too large."
    default_code = "too_large"


class BoundedJSONParser(JSONParser):
    """JSON up to `DATA_UPLOAD_MAX_MEMORY_SIZE` bytes. An empty body is an empty object: the field's
    clients send `Content-Type: application/json` with requests that have none."""

    def parse(
        self,
        stream: IO[Any],
        media_type: str | None = None,
        parser_context: Mapping[str, Any] | None = None,
    ) -> Any:
        limit = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
        body = stream.read(limit + 1)
        if len(body) > limit:
            raise TooLarge
        if not body.strip():
            return {}
        return super().parse(BytesIO(body), media_type, parser_context)
