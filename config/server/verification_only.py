"""Leaves out everything but verification, for web processes that do nothing else.

Such processes are added by the dozen where tokens are asked about: without pages they need no mail
server, and nobody can try a password there.
"""

import json
from collections.abc import Iterable
from http import HTTPStatus
from typing import Any

from django.conf import settings

from config.server.probes import PROBES
from config.server.responses import WSGIApplication, respond

EVERYTHING, VERIFICATION = "everything", "verification"
"""Values of `SERVES`."""
SERVED = frozenset(
    (
        *("/iam/auth/verify", "/iam/auth/introspect", "/iam/auth/introspect/batch"),
        *(*PROBES, "/metrics"),
    )
)
ELSEWHERE = "This address answers verification only. Pages and API are served at {base_url}."


def leave_out_the_rest(serve: WSGIApplication) -> WSGIApplication:
    """Answer 404 for pages and API where `SERVES` says so; elsewhere change nothing."""
    if settings.SERVES == EVERYTHING:
        return serve
    text = json.dumps({"message": ELSEWHERE.format(base_url=settings.BASE_URL)})

    def serve_verification(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        if environ.get("PATH_INFO") in SERVED:
            return serve(environ, start_response)
        return respond(
            environ, start_response, HTTPStatus.NOT_FOUND, kind="application/json", text=text
        )

    return serve_verification
