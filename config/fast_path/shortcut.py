"""Sends requests the short way. A fault on it is logged, and Django answers in its place.

Verifications are counted here, whichever way they take. One that cannot be counted is answered.
"""

import logging
from collections.abc import Callable, Iterable
from time import perf_counter
from typing import Any, NamedTuple

from django.conf import settings

from apitokens.api.introspect import not_active
from apitokens.api.responses import GOOD, INACTIVE, result_of
from config.fast_path import introspect, verify
from config.fast_path.requests import Headers, Sent
from config.observability.lines import write_verification
from config.observability.requests import identifier_of
from config.server.responses import WSGIApplication
from operations.metrics.exposition import begin_to_count
from telemetry.context import working_for
from telemetry.metrics import DATABASE, MEMORY, verifications

logger = logging.getLogger(__name__)


class _Way(NamedTuple):
    """Who answers from memory, the endpoint's name in metrics and logs, and what counts an answer
    about a good token by its seconds: most are such, and each microsecond is a thirtieth of one."""

    answer: Callable[[dict[str, Any]], Sent | None]
    endpoint: str
    note_good: Callable[[float], None]


def _way(answer: Callable[[dict[str, Any]], Sent | None], endpoint: str) -> _Way:
    return _Way(answer, endpoint, verifications.notes_of((endpoint, GOOD, MEMORY)).append)


_way_by_path = {
    verify.PATH: _way(verify.answer, "verify"),
    introspect.PATH: _way(introspect.answer, "introspect"),
}
_OK = "200 OK"


def shortcut(serve: WSGIApplication) -> WSGIApplication:
    """Answer from the cache where that is possible; leave all other requests to `serve`."""

    logs_errors_only = settings.LOG_VERIFY != "all"

    def serve_or_answer(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        way = _way_by_path.get(environ.get("PATH_INFO", ""))
        if way is None:
            return serve(environ, start_response)
        answer, endpoint, note_good = way
        began = perf_counter()
        try:
            sent = answer(environ)
        except Exception:
            logger.exception("The fast path failed; Django answers.")
            sent = None
        if sent is None:
            return _serve_counting(serve, environ, start_response, endpoint, began)
        status, headers, body, result = sent
        if status == _OK and result is GOOD and logs_errors_only:
            note_good(perf_counter() - began)
        else:
            _tell(environ, endpoint, sent, MEMORY, perf_counter() - began)
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
    told: list[tuple[str, Headers]] = []

    def start(status: str, headers: Headers, *facts: Any) -> Any:
        told.append((status, headers))
        return start_response(status, headers, *facts)

    with working_for(identifier_of(environ)):
        body = serve(environ, start)
        status, headers = told[-1]
        _tell(environ, endpoint, (status, headers, body, ""), DATABASE, perf_counter() - began)
    return body


def _tell(
    environ: dict[str, Any],
    endpoint: str,
    sent: tuple[str, Headers, Iterable[bytes], str],
    source: str,
    seconds: float,
) -> None:
    """Count a verification, and write its line if it shall have one. What it came to is read from
    the answer where nobody knows. A fault is logged, and keeps nobody from the answer."""
    try:
        status, headers, body, result = sent
        if not result:
            result = INACTIVE if _is_inactive(body) else result_of(int(status[:3]), headers)
        begin_to_count()
        verifications.add(endpoint, result, source, seconds)
        write_verification(
            environ,
            endpoint=endpoint,
            status=status,
            result=result,
            seconds=seconds,
            headers=headers,
            body=body,
        )
    except Exception:
        logger.exception("A verification was answered, and not counted.")


def _is_inactive(body: Iterable[bytes]) -> bool:
    """Django's answers are lists too, once they are there."""
    return next(iter(body), b"") == not_active().body
