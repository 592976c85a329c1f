"""The two forms of a line, and what each of them gets beside its message."""

import json
import logging
from datetime import UTC, datetime
from typing import Any

from config.database.log_lines import CutLines
from telemetry.context import request_id

FACTS = "facts"
"""The attribute of a record with what it says for machines, by name. No secret may be in it."""


class AddRequestId(logging.Filter):
    """Notes in a record for which request it was written."""

    def filter(self, record: logging.LogRecord) -> bool:
        record.request_id = request_id()
        return True


class RefusalsOnce(logging.Filter):
    """Leaves out Django's line about what was refused (4xx): the line of the request tells it."""

    def filter(self, record: logging.LogRecord) -> bool:
        status = getattr(record, "status_code", 0)
        return not (record.name == "django.request" and 400 <= status < 500)


class TextLines(CutLines):
    """A line for people, with the id of the request at its end."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802  # logging's name
        line = super().formatMessage(record)
        identifier = getattr(record, "request_id", "")
        return f"{line} [{identifier}]" if identifier else line


class JSONLines(CutLines):
    """A line for machines: an object, whose traceback is a text in it."""

    def format(self, record: logging.LogRecord) -> str:
        told: dict[str, Any] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": self._message(record),
        }
        if identifier := getattr(record, "request_id", ""):
            told["request_id"] = identifier
        told |= getattr(record, FACTS, {})
        if record.exc_info and not record.exc_text:
            record.exc_text = self.formatException(record.exc_info)
        if record.exc_text:
            told["traceback"] = record.exc_text
        return json.dumps(told, ensure_ascii=False, separators=(",", ":"), default=str)

    def _message(self, record: logging.LogRecord) -> str:
        record.message = record.getMessage()
        self.formatMessage(record)  # cuts it
        return record.message
