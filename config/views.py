"""Views that belong to no app: the API's description, and error pages."""

import sys
from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.template.loader import render_to_string
from django.utils import translation
from django.utils.cache import add_never_cache_headers
from django.views import defaults
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from accounts.tenancy.decorators import last_member
from config.api_docs.page import openapi_json, reference_for
from config.database.outages import Outage, outage_of
from config.middleware import error_layout, is_api


@require_safe
def openapi(_request: HttpRequest) -> HttpResponse:
    """The API's OpenAPI description."""
    return HttpResponse(
        openapi_json(),
        content_type="application/vnd.oai.openapi+json",
        headers={"Content-Disposition": 'inline; filename="Permatoken API.json"'},
    )


@require_safe
@never_cache
def docs(request: HttpRequest) -> HttpResponse:
    """Show the API's documentation, made from its OpenAPI description."""
    member = last_member(request)
    context = reference_for(member.account_id if member else None)
    return render(request, "api/docs.html", context)


def bad_request(request: HttpRequest, exception: Exception) -> HttpResponse:
    if is_api(request):
        return _api_error("We couldn't understand the request.", 400)
    return defaults.bad_request(request, exception)


def permission_denied(request: HttpRequest, exception: Exception) -> HttpResponse:
    if is_api(request):
        return _api_error("You do not have permission to perform this action.", 403)
    return _refusal_page(request, "403.html", {"exception": str(exception)}, status=403)


def page_not_found(request: HttpRequest, exception: Exception) -> HttpResponse:  # noqa: ARG001  # Django's signature
    if is_api(request):
        return _api_error("Not found.", 404)
    return _refusal_page(request, "404.html", {}, status=404)


def too_many_requests(request: HttpRequest) -> HttpResponse:
    """Answer 429 without naming the limit that was reached; all of them end within minutes."""
    response = render(request, "429.html", status=429)
    response.headers["Retry-After"] = "60"
    return response


def server_error(request: HttpRequest) -> HttpResponse:
    """Answer an exception that no view and no middleware has caught. An outage of the database is
    no fault: 503 says so, and when to come again."""
    if outage := outage_of(sys.exception()):
        return _unavailable(request, outage)
    if is_api(request):
        return _api_error("Something went wrong on our side. Try again later.", 500)
    return defaults.server_error(request)


def _refusal_page(
    request: HttpRequest, page: str, told: dict[str, Any], *, status: int
) -> HttpResponse:
    """A page with the bar of the portal, which names the reader: no browser keeps it."""
    context = {**told, "error_layout": error_layout(request)}
    response = render(request, page, context, status=status)
    add_never_cache_headers(response)
    return response


def _unavailable(request: HttpRequest, outage: Outage) -> HttpResponse:
    """Say it without the database: so without the reader's session and settings, too."""
    if is_api(request):
        with translation.override("en"):
            message = f"{outage.title}. {outage.explanation}"
        body = {"message": message, "code": outage.code}
        response: HttpResponse = JsonResponse(body, status=503)
    else:
        language = getattr(request, "LANGUAGE_CODE", None)
        with translation.override(language or translation.get_language_from_request(request)):
            page = render_to_string("503_database.html", {"outage": outage})
        response = HttpResponse(page, status=503)
    response.headers["Retry-After"] = str(outage.retry_after)
    response.headers["Cache-Control"] = "no-store"
    return response


def _api_error(message: str, status: int) -> HttpResponse:
    return JsonResponse({"message": message}, status=status)
