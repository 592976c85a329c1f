"""The line of the log that each request has."""

import logging
import threading
import time
from collections.abc import Iterable
from typing import Any

from django.conf import settings

from accounts.http.client_ip import address_of
from apitokens.api.responses import GOOD, INACTIVE
from config.logs.formats import FACTS
from config.observability.sent_ids import ids_in_question, issuer_known

logger = logging.getLogger("permatoken.requests")

NOTES = "permatoken.notes"
"""Where Django leaves what it knows of the request, for those in front of it."""
MOST_REFUSED = 20
"""Lines a second about verifications that were refused, of each process: guesses come by the
thousand. Metrics count all of them."""
IN_WORDS = ("code", "user", "token", "verifier", "tokens", "refused")
"""What a line of text tells after the client's address."""
QUIET = {"livez", "readyz", "healthz", "metrics", "static"}
"""Routes whose success is no news."""


class _Sampler:
    """Lets so many through in a second, and says how many were left out."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._ends_at, self._number, self._left_out = 0.0, 0, 0

    def take(self) -> int | None:
        """How many were left out before; None if this one is, too."""
        now = time.monotonic()
        if self._number >= MOST_REFUSED and now < self._ends_at:
            self._left_out += 1  # without the lock: of two threads at once it may count one
            return None
        with self._lock:
            if now >= self._ends_at:
                self._ends_at, self._number = now + 1, 0
            self._number += 1
            left_out, self._left_out = self._left_out, 0
            return left_out


refused_verifications = _Sampler()


def write_line(environ: dict[str, Any], facts: dict[str, Any]) -> None:
    """Write the line of a request. `facts` are its method, route, status, duration, and what is
    known of user, token and refusal: ids and codes."""
    if facts["route"] in QUIET and facts["status"] < 400:
        return
    facts = {**facts, "client": address_of(environ)}
    known = {name: value for name, value in facts.items() if value not in (None, "", [])}
    logger.info("%s", _in_words(known), extra={FACTS: known})


def write_verification(
    environ: dict[str, Any],
    *,
    endpoint: str,
    status: str,
    result: str,
    seconds: float,
    headers: list[tuple[str, str]],
    body: Iterable[bytes],
) -> None:
    """Write the line of a verification, if LOG_VERIFY wants it: of good ones none by default. What
    was asked is only looked at for a line."""
    is_all, is_refused = settings.LOG_VERIFY == "all", status >= "400" or result == INACTIVE
    if not is_all and (not is_refused or (left_out := refused_verifications.take()) is None):
        return
    number = int(status[:3])
    ids = ids_in_question(environ, endpoint=endpoint)
    user = issuer_known(
        ids["token"], status=number, result=result, headers=headers, body=next(iter(body), b"")
    )
    write_line(
        environ,
        {
            "method": environ.get("REQUEST_METHOD", ""),
            "route": f"iam/auth/{endpoint}",
            "status": number,
            "duration_ms": round(seconds * 1000, 3),
            "code": _code(environ, result),
            "user": user,
            **ids,
            "left_out": None if is_all else left_out or None,
        },
    )


def _code(environ: dict[str, Any], result: str) -> str | None:
    """Why it was refused. Of who asks without a verifier key, Django alone knows."""
    noted: str | None = environ.get(NOTES, {}).get("code")
    return noted or (None if result == GOOD else result)


def _in_words(facts: dict[str, Any]) -> str:
    more = " ".join(f"{name}={_in_word(facts[name])}" for name in IN_WORDS if name in facts)
    left_out = f" ({facts['left_out']} more like it)" if "left_out" in facts else ""
    return (
        f"{facts['method']} {facts['route']} {facts['status']} in {facts['duration_ms']} ms "
        f"from {facts.get('client', '?')} {more}".rstrip()
        + left_out
    )


def _in_word(fact: Any) -> str:
    return ",".join(map(str, fact)) if isinstance(fact, list) else str(fact)
