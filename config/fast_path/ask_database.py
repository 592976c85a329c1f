"""The second half of the short way: what no process remembers is looked up in the database, and
answered without Django's middleware, which would take longer than the question.

What is unusual goes to Django here, too, and a fault that is no outage.
"""

import logging
from collections.abc import Callable, Iterable
from typing import Any

from django.db import DEFAULT_DB_ALIAS, connections

from config.database.limits import brief_waits
from config.database.outages import outage_of
from config.fast_path import introspect, verify
from config.fast_path.requests import Sent
from config.server.responses import WSGIApplication

logger = logging.getLogger(__name__)

_answer_by_path: dict[str, Callable[[dict[str, Any]], Sent | None]] = {
    verify.PATH: verify.answer_from_database,
    introspect.PATH: introspect.answer_from_database,
}


def ask_database(serve: WSGIApplication) -> WSGIApplication:
    """Answer verification by asking the database; leave all other requests to `serve`. An outage is
    raised: it would meet Django again."""

    def serve_or_ask(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        answer = _answer_by_path.get(environ.get("PATH_INFO", ""))
        sent = answer and _asked(answer, environ)
        if sent is None:
            return serve(environ, start_response)
        status, headers, body, _result = sent
        start_response(status, headers)
        return body

    return serve_or_ask


def _asked(answer: Callable[[dict[str, Any]], Sent | None], environ: dict[str, Any]) -> Sent | None:
    """The answer, with a connection as each request of Django has it."""
    _close_what_is_of_no_use()
    try:
        with brief_waits():
            return answer(environ)
    except Exception as error:
        if outage_of(error):
            raise
        logger.exception("The short way to the database failed; Django answers.")
        return None
    finally:
        _close_what_is_of_no_use()


def _close_what_is_of_no_use() -> None:
    """As Django does before and after each request, by signals that take a sixth of the answer's
    time."""
    kept = connections[DEFAULT_DB_ALIAS]
    if not kept.in_atomic_block:
        kept.close_if_unusable_or_obsolete()
