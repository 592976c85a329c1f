"""Observes each request but verification: gives it an id, counts it, and writes its line."""

import time
from collections.abc import Callable, Iterable
from typing import Any

from django.http import HttpRequest, HttpResponse

from accounts.http.client_ip import is_trusted_peer
from apitokens.log_redaction import redact
from apitokens.verification.authorization_header import named_token
from config.observability.lines import NOTES, write_line
from config.observability.sent_ids import named_verifier
from config.observability.tracing import span
from config.server.probes import PROBES
from config.server.responses import WSGIApplication
from operations.metrics.exposition import begin_to_count
from telemetry.context import HEADER, is_request_id, new_request_id, request_id, working_for
from telemetry.metrics import HTTP_REQUESTS, HTTP_SECONDS

NONE = "none"
"""Of addresses that are none of the portal's."""
ANSWERED_IN_FRONT = (*PROBES, "/metrics")
COUNTED_IN_FRONT = ("/iam/auth/verify", "/iam/auth/introspect")
"""Have a counter and a line of their own, whether memory, the database or Django answers."""
METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
Handler = Callable[[HttpRequest], HttpResponse]


def note_facts(get_response: Handler) -> Handler:
    """A middleware: note the route (addresses have ids, and may be secret), and who it was."""

    def handle(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        found = request.resolver_match
        told = getattr(response, "data", None)
        request.META[NOTES] = {
            "route": (found.route or "/") if found is not None else None,
            "user": _user_id(request),
            **_ids(request, response),
            "code": told.get("code") if isinstance(told, dict) else None,
            **getattr(response, "noted", {}),
        }
        return response

    return handle


def _user_id(request: HttpRequest) -> int | None:
    """The id of the user, if it was read for the request already: it is not read for this."""
    known = request.__dict__
    user = known.get("_cached_user") or (known.get("user") if "auth" in known else None)
    identifier: int | None = getattr(user, "pk", None)
    return identifier


def _ids(request: HttpRequest, response: HttpResponse) -> dict[str, int | None]:
    """The id of the token that the request was made with. Of what is refused, as it was sent."""
    known: int | None = getattr(request.__dict__.get("auth"), "token_id", None)
    header = request.META.get("HTTP_AUTHORIZATION")
    if known is not None or not header or response.status_code < 400:
        return {"token": known}
    return {"token": named_token(header), "verifier": named_verifier(header)}


def observe_requests(serve: WSGIApplication) -> WSGIApplication:
    """Count each request when its answer is there, and write its line."""

    def serve_and_tell(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        begin_to_count()
        began, told = time.perf_counter(), ["500"]
        identifier = request_id() or identifier_of(environ)

        def start(status: str, headers: list[tuple[str, str]], *facts: Any) -> Any:
            told[0] = status
            return start_response(status, [*headers, (HEADER, identifier)], *facts)

        method = _method(environ)
        parent = environ.get("HTTP_TRACEPARENT", "") if is_trusted_peer(environ) else ""
        with working_for(identifier), span(method, kind="SERVER", parent=parent) as running:
            try:
                return serve(environ, start)
            finally:
                seconds = time.perf_counter() - began
                facts = _facts(environ, method, told[0], seconds)
                if environ.get("PATH_INFO") not in COUNTED_IN_FRONT:
                    _count(facts, seconds)
                    write_line(environ, facts)
                running.update_name(f"{method} {facts['route']}")
                running.set_attributes(
                    {
                        "http.request.method": method,
                        "http.route": facts["route"],
                        "http.response.status_code": facts["status"],
                    }
                )

    return serve_and_tell


def _facts(environ: dict[str, Any], method: str, status: str, seconds: float) -> dict[str, Any]:
    """What the line of the request tells."""
    notes = environ.get(NOTES) or {}
    route = notes.get("route") or _route_without_django(environ.get("PATH_INFO", ""))
    return {
        **notes,
        "method": method,
        "route": route,
        "status": int(status[:3]),
        "duration_ms": round(seconds * 1000, 1),
    }


def _count(facts: dict[str, Any], seconds: float) -> None:
    HTTP_REQUESTS.labels(facts["method"], facts["route"], str(facts["status"])).inc()
    HTTP_SECONDS.labels(facts["route"]).observe(seconds)


def identifier_of(environ: dict[str, Any]) -> str:
    """The id that a trusted proxy has given the request, if it is one and no secret; or a new
    one."""
    given = environ.get("HTTP_X_REQUEST_ID", "")
    is_taken = is_request_id(given) and is_trusted_peer(environ) and redact(given) == given
    return given if is_taken else new_request_id()


def _method(environ: dict[str, Any]) -> str:
    method: str = environ.get("REQUEST_METHOD", "")
    return method if method in METHODS else "other"


def _route_without_django(path: str) -> str:
    """What is answered in front of Django's URLs. Other paths are a stranger's choice."""
    if path in ANSWERED_IN_FRONT:
        return path[1:]
    return "static" if path.startswith("/static/") else NONE
