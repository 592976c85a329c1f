"""Counts requests by route and status, around everything but verification."""

import time
from collections.abc import Callable, Iterable
from typing import Any

from django.http import HttpRequest, HttpResponse

from config.server.probes import PROBES
from config.server.responses import WSGIApplication
from operations.metrics.exposition import begin_to_count
from telemetry.metrics import HTTP_REQUESTS, HTTP_SECONDS

ROUTE = "permatoken.route"
"""Where Django leaves the route that a request had, for those in front of it."""
NONE = "none"
"""Of addresses that are none of the portal's."""
ANSWERED_IN_FRONT = (*PROBES, "/metrics")
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
Handler = Callable[[HttpRequest], HttpResponse]


def note_route(get_response: Handler) -> Handler:
    """A middleware: note the route of a request, by which it is counted. Addresses have ids."""

    def handle(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        if request.resolver_match is not None:
            request.META[ROUTE] = request.resolver_match.route or "/"
        return response

    return handle


def observe_requests(serve: WSGIApplication) -> WSGIApplication:
    """Count each request when its answer is there."""

    def serve_and_count(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        begin_to_count()
        began, told = time.perf_counter(), [""]

        def start(status: str, *facts: Any) -> Any:
            told[0] = status
            return start_response(status, *facts)

        try:
            return serve(environ, start)
        finally:
            _count(environ, told[0], time.perf_counter() - began)

    return serve_and_count


def _route_without_django(path: str) -> str:
    """What is answered in front of Django's URLs. Other paths are a stranger's choice."""
    if path in ANSWERED_IN_FRONT:
        return path[1:]
    return "static" if path.startswith("/static/") else NONE


def _count(environ: dict[str, Any], status: str, seconds: float) -> None:
    method = environ.get("REQUEST_METHOD", "")
    route = environ.get(ROUTE) or _route_without_django(environ.get("PATH_INFO", ""))
    known = method if method in METHODS else "other"
    HTTP_REQUESTS.labels(known, route, status[:3] or "500").inc()
    HTTP_SECONDS.labels(route).observe(seconds)
