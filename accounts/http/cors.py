"""Lets pages of other origins call the API (CORS), if the operators list them.

A few lines instead of django-cors-headers: it would answer preflights before the host is checked,
and has forty settings for what is one list here. Credentials of browsers are never permitted: the
API takes none.
"""

from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.utils.cache import patch_vary_headers

Handler = Callable[[HttpRequest], HttpResponse]

METHODS = "GET, HEAD, POST, PUT, PATCH, DELETE"
HEADERS = "Authorization, Content-Type"
EXPOSED = "Retry-After, WWW-Authenticate"
PREFLIGHT_SECONDS = 600
NOT_FOR_BROWSERS = (
    "/iam/docs",
    "/iam/auth/verify",
    "/iam/auth/introspect",
    "/iam/auth/introspect/batch",
)
"""Other systems ask these. A preflight that was answered there would let requests without a token
through a proxy that asks about each."""


def allow_listed_origins(get_response: Handler) -> Handler:
    """Answer preflights of listed origins, and mark answers for them."""

    def handle(request: HttpRequest) -> HttpResponse:
        if not settings.CORS_ALLOWED_ORIGINS or not _is_for_browsers(request):
            return get_response(request)
        is_listed = request.headers.get("Origin") in settings.CORS_ALLOWED_ORIGINS
        response = _preflight(request) if _is_preflight(request) else get_response(request)
        patch_vary_headers(response, ["Origin"])
        if is_listed:
            response.headers["Access-Control-Allow-Origin"] = request.headers["Origin"]
            response.headers["Access-Control-Expose-Headers"] = EXPOSED
        return response

    return handle


def _is_for_browsers(request: HttpRequest) -> bool:
    path = request.path_info
    return path.startswith("/iam/") and path not in NOT_FOR_BROWSERS


def _is_preflight(request: HttpRequest) -> bool:
    asked = request.headers
    return (
        request.method == "OPTIONS"
        and "Origin" in asked
        and "Access-Control-Request-Method" in asked
    )


def _preflight(request: HttpRequest) -> HttpResponse:
    """The answer to a preflight. A browser that misses its origin in it goes no further."""
    request.get_host()  # refuses unknown host names, as CommonMiddleware does
    return HttpResponse(
        status=204,
        headers={
            "Access-Control-Allow-Methods": METHODS,
            "Access-Control-Allow-Headers": HEADERS,
            "Access-Control-Max-Age": str(PREFLIGHT_SECONDS),
        },
    )
