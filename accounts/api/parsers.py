"""Parsers of API requests: JSON of bounded depth and of any kind, or an empty body; and queries.

Their size is bounded by `DATA_UPLOAD_MAX_MEMORY_SIZE`.
"""

import json
from codecs import BOM_UTF8
from collections.abc import Iterable, Mapping
from typing import IO, Any

from django.http import QueryDict
from rest_framework.exceptions import ParseError, ValidationError
from rest_framework.negotiation import DefaultContentNegotiation
from rest_framework.parsers import BaseParser, JSONParser
from rest_framework.request import Request
from rest_framework.utils.json import strict_constant

JSON = "application/json"


def is_json(content_type: str | None) -> bool:
    """True for JSON, also as `application/…+json` (RFC 6839)."""
    kind = (content_type or "").partition(";")[0].strip().lower()
    return kind == JSON or (kind.startswith("application/") and kind.endswith("+json"))


def refuse_repeated(query: QueryDict, names: Iterable[str]) -> None:
    """Raise `ValidationError` if one of these stands in the query twice: it is not clear which
    counts."""
    repeated = [name for name in names if len(query.getlist(name)) > 1]
    if repeated:
        raise ValidationError({name: ["Give this parameter once."] for name in repeated})


class JSONOfAnyKind(DefaultContentNegotiation):
    """Reads JSON by any of its names, such as `application/merge-patch+json`."""

    def select_parser(self, request: Request, parsers: Iterable[BaseParser]) -> BaseParser | None:
        if is_json(request.content_type):
            return next((each for each in parsers if isinstance(each, JSONParser)), None)
        return super().select_parser(request, parsers)


class KeyGivenTwice(ValueError):
    """An object of JSON has a key twice. Readers differ in which of them counts (RFC 8259, 4)."""

    def __init__(self) -> None:
        super().__init__("The JSON of the body has a key twice in an object. Give each key once.")


def keys_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object of JSON, for `object_pairs_hook`. Raises `KeyGivenTwice`."""
    found = dict(pairs)
    if len(found) < len(pairs):
        raise KeyGivenTwice
    return found


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
            return json.loads(
                body.decode(), parse_constant=strict_constant, object_pairs_hook=keys_once
            )
        except KeyGivenTwice as twice:
            raise ParseError(str(twice)) from None
        except ValueError as fault:
            raise ParseError(f"JSON parse error - {fault}") from None
        except RecursionError:
            raise ParseError("The JSON of the body is nested too deeply.") from None
