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
_CHARSET = re.compile(r";\s*charset=[^;]*", re.IGNORECASE)


def utf_8_only(serve: WSGIApplication) -> WSGIApplication:
    """Read everything as UTF-8, whatever a client calls the charset of its body.

    Django decodes the query by that charset, and breaks before any of its error pages could answer
    when it is one of Python's that are none ("rot13", "zlib").
    """

    def serve_utf_8(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        environ["CONTENT_TYPE"] = _CHARSET.sub("", environ.get("CONTENT_TYPE", ""))
        return serve(environ, start_response)

    return serve_utf_8


_ordinary = observe_requests(
    answer_probes(
        leave_out_the_rest(
            answer_faults(
                hold_database_files(
                    require_right_peppers(read_bodies(utf_8_only(send_whole(_django))))
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
