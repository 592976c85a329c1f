"""Keeps the log short: an outage is a line, not a hundred for each request that meets it, and no
line grows with what a stranger sends."""

import logging
import threading
from time import monotonic

from config.database.outages import outage_of
from telemetry.metrics import DATABASE_ERRORS

LONGEST = 1_000
"""Characters of a message. (Tracebacks stay whole.)"""
EVERY = 1.0
"""Seconds between two lines of a process."""


class ShortenOutages(logging.Filter):
    """Leaves the traceback out of records about an outage, and lets one a second through. The next
    one says how many were left out."""

    def __init__(self) -> None:
        super().__init__()
        self._lock = threading.Lock()
        self._logged_at = -EVERY
        self._left_out = 0

    def filter(self, record: logging.LogRecord) -> bool:
        error = record.exc_info[1] if record.exc_info else None
        outage = outage_of(error) if error is not None else None
        if outage is None:
            return True
        DATABASE_ERRORS.labels(outage.code).inc()
        with self._lock:
            at = monotonic()
            if at - self._logged_at < EVERY:
                self._left_out += 1
                return False
            self._logged_at, left_out, self._left_out = at, self._left_out, 0
        more = f" ({left_out} more like it)" if left_out else ""
        reason = " ".join(str(error).split()) or type(error).__name__
        record.msg, record.args = "%s: %s%s", (record.getMessage().rstrip("."), reason, more)
        record.exc_info = record.exc_text = None
        return True


class CutLines(logging.Formatter):
    """Cuts long messages, after the filters have taken secrets out of them."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802  # logging's name
        if (more := len(record.message) - LONGEST) > 0:
            record.message = f"{record.message[:LONGEST]}… ({more} more characters)"
        return super().formatMessage(record)
