"""Answers for what goes wrong outside Django's own handling of exceptions.

Without it the web server would answer: 500, and not a word.
"""

import json
import logging
import sys
from collections.abc import Iterable
from http import HTTPStatus
from typing import Any

from config.database.outages import outage_of
from config.server.responses import WSGIApplication, respond

logger = logging.getLogger(__name__)

FAULT = "Something went wrong on our side. Try again later."


def answer_faults(serve: WSGIApplication) -> WSGIApplication:
    """Answer an exception that nobody has caught: 503 for an outage, else 500, with a sentence."""

    def serve_or_apologise(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        try:
            return serve(environ, start_response)
        except Exception as error:
            logger.exception("A request failed in front of Django.")
            return _apologise(error, environ, start_response)

    return serve_or_apologise


def _apologise(error: Exception, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    status, sentence, headers = HTTPStatus.INTERNAL_SERVER_ERROR, FAULT, list[tuple[str, str]]()
    if outage := outage_of(error):
        status = HTTPStatus.SERVICE_UNAVAILABLE
        sentence = f"{outage.title}. {outage.explanation}"
        headers = [("Retry-After", str(outage.retry_after))]
    is_api = str(environ.get("PATH_INFO", "")).startswith("/iam/")

    def start(line: str, all_headers: list[tuple[str, str]]) -> None:
        # An answer that has begun is taken back, if that is still possible.
        start_response(line, all_headers, sys.exc_info())

    return respond(
        environ,
        start,
        status,
        kind="application/json" if is_api else "text/plain; charset=utf-8",
        text=json.dumps({"message": sentence}) if is_api else f"{sentence}\n",
        headers=headers,
    )
