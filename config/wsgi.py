"""The WSGI application: any server can serve `config.wsgi:application`."""

import os
import re
import sys
from collections.abc import Iterable
from typing import Any

from django.core.wsgi import get_wsgi_application

from config.env.start import load_settings

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
load_settings()
_django = get_wsgi_application()  # before imports that need Django's apps

from apitokens.usage.flusher import install_sigterm_flush  # noqa: E402
from config.fast_path.ask_database import ask_database  # noqa: E402
from config.fast_path.shortcut import shortcut  # noqa: E402
from config.html.thread_locals import keep_by_thread  # noqa: E402
from config.observability.requests import observe_requests  # noqa: E402
from config.observability.sentry import start_reporting  # noqa: E402
from config.observability.tracing import start_tracing  # noqa: E402
from config.server.bodies import read_bodies  # noqa: E402
from config.server.database_files import hold_database_files  # noqa: E402
from config.server.faults import answer_faults  # noqa: E402
from config.server.peppers import require_right_peppers  # noqa: E402
from config.server.probes import answer_probes  # noqa: E402
from config.server.responses import WSGIApplication, send_whole  # noqa: E402
from config.server.verification_only import leave_out_the_rest  # noqa: E402
from config.warm_up import warm_up  # noqa: E402

SWITCH_SECONDS = 0.001
"""So long a page holds the interpreter while a verification waits for it. With Python's 5 ms that
waits ten times as long; the price is up to a tenth of the pages (docs/decisions/0065)."""
_BOUNDARY = re.compile(r";\s*(boundary\s*=\s*(?:\"[^\"]*\"|[^;\s]*))", re.IGNORECASE)


def utf_8_only(serve: WSGIApplication) -> WSGIApplication:
    """Leave of a Content-Type its kind and its boundary, and of a query what it can be read as.

    Django decodes the query by the charset of the body, which has many spellings (`charset*0=`),
    and breaks before any of its error pages could answer when it is one of Python's that are none
    ("rot13", "zlib"), or when another parameter has an encoding that nobody knows (`x*=bogus''`).
    """

    def serve_utf_8(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        environ["CONTENT_TYPE"] = _plain(environ.get("CONTENT_TYPE") or "")
        query = environ.get("QUERY_STRING", "")
        if not query.isascii():
            environ["QUERY_STRING"] = _bytes_of(query).decode("latin-1")
        return serve(environ, start_response)

    return serve_utf_8


def _plain(content_type: str) -> str:
    kind, semicolon, parameters = content_type.partition(";")
    boundary = _BOUNDARY.search(semicolon + parameters) if semicolon else None
    return f"{kind.strip()}; {boundary[1]}" if boundary else kind


def _bytes_of(query: str) -> bytes:
    """A server hands on bytes as characters below 256 (PEP 3333), or has decoded them."""
    try:
        return query.encode("latin-1")
    except UnicodeEncodeError:
        return query.encode(errors="replace")


_ordinary = observe_requests(
    answer_probes(
        leave_out_the_rest(
            answer_faults(
                hold_database_files(
                    require_right_peppers(utf_8_only(read_bodies(send_whole(_django))))
                )
            )
        )
    )
)
application = shortcut(
    answer_faults(hold_database_files(require_right_peppers(ask_database(_ordinary))))
)
sys.setswitchinterval(SWITCH_SECONDS)
keep_by_thread()
install_sigterm_flush()
start_reporting()
start_tracing()
warm_up()
