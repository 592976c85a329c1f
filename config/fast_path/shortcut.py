"""Sends requests the short way. A fault on it is logged, and Django answers in its place.

Verifications are counted here, whichever way they take.
"""

import logging
from collections.abc import Iterable
from time import perf_counter
from typing import Any

from django.conf import settings

from apitokens.api.responses import ERROR
from config.fast_path import introspect, verify
from config.fast_path.requests import Headers
from config.observability.lines import write_verification
from config.observability.requests import identifier_of
from config.server.responses import WSGIApplication
from operations.metrics.exposition import begin_to_count
from telemetry.context import working_for
from telemetry.metrics import DATABASE, MEMORY, verifications

logger = logging.getLogger(__name__)

_VERIFY = (verify.answer, "verify")
_answer_by_path = {
    verify.PATH: _VERIFY,
    introspect.PATH: (introspect.answer, "introspect"),
}
_note_good = verifications.note_good
_OK, _INACTIVE, _GOOD = "200 OK", b'{"active": false}', "good"
_BY_STATUS = {"429": "too_many", "400": "invalid_request", "413": "invalid_request"}


def shortcut(serve: WSGIApplication) -> WSGIApplication:
    """Answer from the cache where that is possible; leave all other requests to `serve`."""

    logs_errors_only = settings.LOG_VERIFY != "all"

    def serve_or_answer(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        way = _answer_by_path.get(environ.get("PATH_INFO", ""))
        if way is None:
            return serve(environ, start_response)
        answer, endpoint = way
        began = perf_counter()
        try:
            sent = answer(environ)
        except Exception:
            logger.exception("The fast path failed; Django answers.")
            sent = None
        if sent is None:
            return _serve_counting(serve, environ, start_response, endpoint, began)
        status, headers, body = sent
        if status == _OK and way is _VERIFY and logs_errors_only:
            _note_good(perf_counter() - began)  # the most of all: each microsecond is a thirtieth
        else:
            begin_to_count()
            _tell(environ, endpoint, status, headers, body, MEMORY, perf_counter() - began)
        start_response(status, headers)
        return body

    return serve_or_answer


def _serve_counting(
    serve: WSGIApplication,
    environ: dict[str, Any],
    start_response: Any,
    endpoint: str,
    began: float,
) -> Iterable[bytes]:
    """Have the database asked, or Django."""
    begin_to_count()
    told: list[tuple[str, Headers]] = []

    def start(status: str, headers: Headers, *facts: Any) -> Any:
        told.append((status, headers))
        return start_response(status, headers, *facts)

    with working_for(identifier_of(environ)):
        body = serve(environ, start)
        status, headers = told[-1]
        _tell(environ, endpoint, status, headers, body, DATABASE, perf_counter() - began)
    return body


def _tell(
    environ: dict[str, Any],
    endpoint: str,
    status: str,
    headers: Headers,
    body: Iterable[bytes],
    source: str,
    seconds: float,
) -> None:
    """Count a verification, and write its line if it shall have one."""
    result = _result(status, headers, body)
    verifications.add(endpoint, result, source, seconds)
    write_verification(environ, endpoint=endpoint, status=status, result=result, seconds=seconds)


def _result(status: str, headers: Headers, body: Iterable[bytes]) -> str:
    """Good, or the code of the refusal. Of introspection nobody is told why a token is not good."""
    if status == _OK:
        return "inactive" if _is_inactive(body) else _GOOD
    code = next((value for name, value in headers if name == ERROR), None)
    return code or _BY_STATUS.get(status[:3], "error" if status >= "500" else "refused")


def _is_inactive(body: Iterable[bytes]) -> bool:
    """Django's answers are lists too, once they are there."""
    return next(iter(body), b"") == _INACTIVE
