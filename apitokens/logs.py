"""Keeps secrets out of the logs, whoever writes them."""

import logging

from apitokens.keys import redact


class RedactTokens(logging.Filter):
    """Replaces the secret of every API token in a record, in its message and in its traceback."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.msg, record.args = redact(record.getMessage()), None
        if record.exc_info and not record.exc_text:
            record.exc_text = logging.Formatter().formatException(record.exc_info)
        if record.exc_text:
            record.exc_text = redact(record.exc_text)
        return True
