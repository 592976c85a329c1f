"""Compression of pages, where nobody can measure a secret by it (decision 39)."""

from http import HTTPStatus

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.middleware.gzip import GZipMiddleware

from accounts.http.shown_once import shows_secret
from config.middleware import is_api
from notifications.links import has_secret


class Middleware(GZipMiddleware):
    """Django's, which adds random bytes against BREACH, for answers to GET and refused forms that
    show no secret.

    What is shown once answers a POST that was taken, so no such page is compressed; what shows a
    secret otherwise is marked by its view. Pages of a secret address have it in their forms. The
    API speaks of tokens.
    """

    def process_response(
        self, request: HttpRequest, response: HttpResponseBase
    ) -> HttpResponseBase:
        if not _may_be_measured(request, response):
            return response
        compressed: HttpResponseBase = super().process_response(request, response)
        return compressed


def _may_be_measured(request: HttpRequest, response: HttpResponseBase) -> bool:
    """True if the size of the compressed page tells nothing that must stay secret."""
    return (
        (request.method in ("GET", "HEAD") or response.status_code >= HTTPStatus.BAD_REQUEST)
        and not is_api(request)
        and not shows_secret(response)
        and not has_secret(request.get_full_path())
    )
