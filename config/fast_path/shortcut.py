"""Sends requests the short way. A fault on it is logged, and Django answers in its place."""

import logging
from collections.abc import Iterable
from typing import Any

from config.fast_path import introspect, verify
from config.server.responses import WSGIApplication

logger = logging.getLogger(__name__)

_answer_by_path = {verify.PATH: verify.answer, introspect.PATH: introspect.answer}


def shortcut(serve: WSGIApplication) -> WSGIApplication:
    """Answer from the cache where that is possible; leave all other requests to `serve`."""

    def serve_or_answer(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        answer = _answer_by_path.get(environ.get("PATH_INFO", ""))
        if answer is None:
            return serve(environ, start_response)
        try:
            sent = answer(environ)
        except Exception:
            logger.exception("The fast path failed; Django answers.")
            sent = None
        if sent is None:
            return serve(environ, start_response)
        status, headers, body = sent
        start_response(status, headers)
        return body

    return serve_or_answer
