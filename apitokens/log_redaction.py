"""Redacts tokens in log records, whichever library writes them."""

import logging

from accounts.jwt.redaction import redact as redact_short_lived
from apitokens import keys


class RedactTokens(logging.Filter):
    """Replaces the secret of every token, permanent or short-lived, in a record: in message,
    traceback and stack."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.msg, record.args = redact(_message(record)), None
        if record.exc_info and not record.exc_text:
            record.exc_text = logging.Formatter().formatException(record.exc_info)
        if record.exc_text:
            record.exc_text = redact(record.exc_text)
        if record.stack_info:
            record.stack_info = redact(record.stack_info)
        return True


def redact(text: str) -> str:
    return redact_short_lived(keys.redact(text))


def _message(record: logging.LogRecord) -> str:
    """The message, even of a call whose arguments do not fit: that must not stop its caller."""
    try:
        return record.getMessage()
    except (TypeError, ValueError, KeyError):
        return f"{record.msg} {record.args!r}"
