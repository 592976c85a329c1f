"""The list of tokens as a CSV file: the call and its description."""

from typing import Any

from django.core.exceptions import ValidationError
from django.http import StreamingHttpResponse
from django.utils import timezone
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import (
    OpenApiExample,
    OpenApiParameter,
    OpenApiResponse,
    extend_schema,
    extend_schema_view,
)
from rest_framework.request import Request

from accounts.api.parsers import refuse_repeated
from accounts.api.schema import ACCOUNT_ID, NO_ACCOUNT, UNAUTHENTICATED, invalid, or_empty
from accounts.api.views import actor_of
from accounts.http.downloads import csv_download
from apitokens.api.schema import ISSUED_BY, NOT_ISSUED_BY, ROLE
from apitokens.api.views import AccountView
from apitokens.csv_export import COLUMNS, lines
from apitokens.filters import LONGEST_SEARCH, NEWEST_FIRST, FileFilter
from apitokens.models import Status

CSV = "text/csv"


def _choice(name: str, description: str, *, usual: str = "") -> OpenApiParameter:
    """A parameter that is one of the words that the filter takes."""
    words = [str(word) for word, _label in FileFilter.base_filters[name].extra["choices"]]
    said = f"{description} One of: {', '.join(words)}."
    if usual:
        said += f" Default: {usual}."
    return OpenApiParameter(name, or_empty({"type": "string", "enum": words}), description=said)


_SEARCH = OpenApiParameter(
    "q",
    {"type": "string", "maxLength": LONGEST_SEARCH, "pattern": r"^[^\x00]*$"},
    description="Only tokens with these words in their name, description or issuer, or with this "
    "ID.",
)
_FILTERS = [
    ACCOUNT_ID,
    ROLE,
    ISSUED_BY,
    NOT_ISSUED_BY,
    _choice("status", "Only tokens with this status.", usual=Status.ACTIVE.value),
    _choice("last_used", "Only tokens that were never used, or not for so many days."),
    _choice("expires", "Only tokens that expire within so many days, or never."),
    _choice("signs_in_by", "Only tokens whose issuer signs in this way."),
    _SEARCH,
    _choice("sort", "The order; - turns it round.", usual=NEWEST_FIRST),
]
_LINE = (
    '"771142358","Cache clearing","","active","Users","Maria Okafor","maria@example.com","no",'
    '"2026-11-23T09:30:00Z","","","","","","cdn:purge",""'
)


def _described(suffix: str, tag: str) -> Any:
    names = ",".join(f'"{column}"' for column in COLUMNS)
    example = f"{names}\r\n{_LINE}\r\n"
    return extend_schema(
        operation_id=f"export_api_tokens{suffix}",
        summary="Export API tokens",
        description="A CSV file of the tokens that you may see: what *Export* gives in the "
        "portal, with the same filters. It has any number of tokens, in UTF-8 with a byte order "
        "mark, and neither secrets nor digests. Times are UTC. A text that a spreadsheet could "
        "take for a formula begins with an apostrophe.",
        tags=[tag],
        parameters=_FILTERS,
        responses={
            (200, CSV): OpenApiResponse(
                OpenApiTypes.STR,
                "The file, with a line of names first",
                [OpenApiExample("File", example, response_only=True, media_type=CSV)],
            ),
            400: invalid(
                "Invalid filter",
                status=["Select a valid choice. asleep is not one of the available choices."],
            ),
            401: UNAUTHENTICATED,
            404: NO_ACCOUNT,
        },
    )


class Export(AccountView):
    def perform_content_negotiation(self, request: Request, force: bool = False) -> Any:
        """A client that accepts nothing but the file gets refusals in JSON, too."""
        return super().perform_content_negotiation(request, force or request.accepts(CSV))

    def get(self, request: Request, client_id: int) -> StreamingHttpResponse:
        at = timezone.now()
        refuse_repeated(request.query_params, FileFilter.base_filters)
        found = FileFilter(request.query_params, actor=actor_of(request), at=at)
        if not found.is_valid():
            raise ValidationError(found.errors.as_data())
        return csv_download(lines(found.qs, at=at), name="api-tokens", at=at)


@extend_schema_view(get=_described("", "API tokens"))
class ExportV1(Export):
    """By the addresses of v1."""


@extend_schema_view(get=_described("_v2", "API tokens, v2"))
class ExportV2(Export):
    """The same by the addresses of v2."""
