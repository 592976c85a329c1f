"""An outage leaves a line a second, a fault its whole traceback."""

import logging
import logging.config
import sys
from typing import Any

import pytest
from django.conf import settings
from django.db import OperationalError

from config.database import log_lines
from config.database.log_lines import ShortenOutages
from config.logs.setup import logging_settings


def record_of(error: Exception) -> logging.LogRecord:
    try:
        raise error
    except type(error):
        exc_info = sys.exc_info()
    return logging.LogRecord("name", logging.ERROR, __file__, 1, "At %s", ("/page/",), exc_info)


def test_portal_writes_its_log_through_it() -> None:
    filters = logging_settings(level="INFO", form="text")["filters"]
    handlers = logging_settings(level="INFO", form="json")["handlers"].values()
    name = f"{ShortenOutages.__module__}.{ShortenOutages.__qualname__}"
    (shorten,) = (each for each, facts in filters.items() if facts["()"] == name)
    assert all(shorten in handler["filters"] for handler in handlers)


def test_outage_leaves_one_line_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [100.0]
    monkeypatch.setattr(log_lines, "monotonic", lambda: clock[0])
    shorten = ShortenOutages()
    records = [record_of(OperationalError("connection\nrefused")) for _each in range(446)]

    passed = [record for record in records if shorten.filter(record)]
    clock[0] += 1
    last = record_of(OperationalError("connection refused"))

    assert [logging.Formatter().format(each) for each in passed] == [
        "At /page/: connection refused"
    ]
    assert shorten.filter(last)
    assert last.getMessage() == "At /page/: connection refused (445 more like it)"


def test_fault_keeps_its_traceback() -> None:
    shorten = ShortenOutages()
    for _time in range(2):
        fault = record_of(ValueError("a fault"))
        assert shorten.filter(fault)
        assert "Traceback" in logging.Formatter().format(fault)


def test_long_message_is_cut_and_its_traceback_is_not() -> None:
    """As the portal's log is set up: what a stranger sends must not fill the disk."""
    as_set_up: Any = settings.LOGGING
    configurator: Any = logging.config.DictConfigurator(as_set_up)
    formatter = configurator.configure_formatter({**as_set_up["formatters"]["text"]})
    record = record_of(ValueError("x" * 5_000))
    record.args = ("/" + "a" * 60_000,)

    head, *traceback = formatter.format(record).splitlines()

    assert len(head) < 1_200
    assert head.endswith("a… (59004 more characters)")
    assert traceback[-1] == f"ValueError: {'x' * 5_000}"
