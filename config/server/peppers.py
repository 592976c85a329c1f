"""Keeps a process from serving with wrong peppers."""

import json
import sys
from collections.abc import Iterable
from http import HTTPStatus
from typing import Any

from apitokens.pepper_checks import PepperGuard
from config.database.wal import existing_only
from config.server.probes import PROBES
from config.server.responses import WSGIApplication, respond


def require_right_peppers(serve: WSGIApplication) -> WSGIApplication:
    """End the process that starts with wrong peppers. If the database is away then, its first
    answer decides: with wrong peppers every request but those about health is answered 503.

    The fast path stands in front: it answers no good token that was not looked up behind this.
    """
    guard = PepperGuard()
    with existing_only():
        refusal = guard.refusal_at_start()
    if refusal:
        sys.exit(f"This process does not serve. {refusal}")

    def serve_or_refuse(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        if guard.is_confirmed or environ.get("PATH_INFO") in PROBES:
            return serve(environ, start_response)
        refusal = guard.refusal()
        if refusal is None:
            return serve(environ, start_response)
        return _unavailable(refusal, environ, start_response)

    return serve_or_refuse


def _unavailable(refusal: str, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
    """A 503 that does not tell strangers more than that it is for the operators to mend."""
    sys.stderr.write(f"This process does not serve. {refusal}\n")
    message = "The portal is not set up rightly: ask its operators, who find the reason in its log."
    return respond(
        environ,
        start_response,
        HTTPStatus.SERVICE_UNAVAILABLE,
        kind="application/json",
        text=json.dumps({"message": message}),
    )
