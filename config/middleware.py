"""What every request meets first: proxies, sizes, and the API's own rules of the road."""

from collections.abc import Callable
from functools import cache
from io import BytesIO

from django.conf import settings
from django.core.handlers.wsgi import WSGIRequest
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.middleware.security import SecurityMiddleware
from django.shortcuts import render
from django.urls import resolve, reverse

from accounts.http.client_ip import is_trusted_peer

Handler = Callable[[HttpRequest], HttpResponse]

ASKED_BY_MACHINES = ("api-verify", "api-introspect")
LARGEST_BODY = settings.DATA_UPLOAD_MAX_MEMORY_SIZE
SAY_HTTPS = "Use https: over plain http everybody on the way can read your token. Replace it now."


def believe_trusted_proxies(get_response: Handler) -> Handler:
    """Forget what strangers say about the scheme: only our proxies know it."""

    def handle(request: HttpRequest) -> HttpResponse:
        if "HTTP_X_FORWARDED_PROTO" in request.META and not is_trusted_peer(request):
            del request.META["HTTP_X_FORWARDED_PROTO"]
        return get_response(request)

    return handle


def name_browsers_without_nul(get_response: Handler) -> Handler:
    """A NUL in `User-Agent` becomes a space (RFC 9110, 5.5): the list of a person's sessions keeps
    what their browser says, and PostgreSQL keeps no NUL."""

    def handle(request: HttpRequest) -> HttpResponse:
        if "\0" in (said := request.META.get("HTTP_USER_AGENT", "")):
            request.META["HTTP_USER_AGENT"] = said.replace("\0", " ")
        return get_response(request)

    return handle


def refuse_large_bodies(get_response: Handler) -> Handler:
    """Forms are small, and so is the one file that is uploaded here (the metadata of an identity
    provider). What is too large is not read at all."""

    def handle(request: HttpRequest) -> HttpResponse:
        if _content_length(request) <= LARGEST_BODY:
            return get_response(request)
        if is_api(request):
            return JsonResponse({"message": "The body is too large."}, status=413)
        return render(request, "413.html", status=413)

    return handle


def api_rules(get_response: Handler) -> Handler:
    """Answers of the API are kept by no cache; and it is asked over https, where there is https.

    A redirect would break a POST, and hide that the token has travelled in clear.
    """

    def handle(request: HttpRequest) -> HttpResponse:
        if not is_api(request):
            return get_response(request)
        if settings.SECURE_SSL_REDIRECT and not request.is_secure():
            response: HttpResponse = JsonResponse({"message": SAY_HTTPS}, status=403)
        else:
            response = get_response(request)
        response.headers.setdefault("Cache-Control", "no-store")
        return response

    return handle


def skip_middleware_for_verification(get_response: Handler) -> Handler:
    """Machines ask whether tokens are good, thousands of times a second: no session, language or
    page of the middleware that follows is any of their business."""

    @cache
    def doors() -> dict[str, Handler]:
        return {(path := reverse(name)): resolve(path).func for name in ASKED_BY_MACHINES}

    def handle(request: HttpRequest) -> HttpResponse:
        door = doors().get(request.path_info)
        if door is None:
            return get_response(request)
        request.get_host()  # refuses names that are not ours, as CommonMiddleware does
        response = door(request)
        for name, value in security_headers(request.is_secure()):
            response.headers[name] = value
        return response

    return handle


@cache
def security_headers(is_secure: bool) -> list[tuple[str, str]]:
    """The headers that Django's SecurityMiddleware, asked once, puts on every answer."""
    scheme = "https" if is_secure else "http"
    request = WSGIRequest(
        {"REQUEST_METHOD": "GET", "wsgi.url_scheme": scheme, "wsgi.input": BytesIO()}
    )
    security = SecurityMiddleware(lambda _request: HttpResponse())
    dressed = security.process_response(request, HttpResponse())
    return [(name, value) for name, value in dressed.items() if name != "Content-Type"]


def is_api(request: HttpRequest) -> bool:
    """True for addresses that programs ask; the documentation is a page."""
    return request.path_info.startswith("/iam/") and request.path_info != "/iam/docs"


def _content_length(request: HttpRequest) -> int:
    """The announced length of the body, in bytes. (Django reads no body of any other.)"""
    length = request.META.get("CONTENT_LENGTH") or "0"
    return int(length) if length.isascii() and length.isdecimal() else 0
