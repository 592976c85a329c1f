"""Secrets stay out of the logs, whichever library writes them."""

import io
import json
import logging
from base64 import b64encode
from collections.abc import Iterator
from typing import Any

import pytest
from django.conf import settings

from apitokens import keys
from apitokens.log_redaction import RedactTokens, redact

KEY = keys.make(771142358)
TOKEN = KEY.spell()


@pytest.fixture
def written() -> Iterator[io.StringIO]:
    """What a logger with the filter writes."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.addFilter(RedactTokens())
    logger = logging.getLogger("tests.redaction")
    logger.addHandler(handler)
    yield stream
    logger.removeHandler(handler)


logger = logging.getLogger("tests.redaction")


def test_every_handler_of_the_portal_has_the_filter() -> None:
    handlers: Any = settings.LOGGING["handlers"]
    assert handlers
    assert all("redact_tokens" in handler["filters"] for handler in handlers.values())


def test_secret_in_a_message_is_redacted(written: io.StringIO) -> None:
    logger.error(f"refused {TOKEN}")
    assert written.getvalue() == "refused 771142358$…\n"


def test_secret_in_an_argument_is_redacted(written: io.StringIO) -> None:
    logger.error("refused %s for %d", {"token": TOKEN}, 5)
    assert written.getvalue() == "refused {'token': '771142358$…'} for 5\n"


def test_secret_in_a_traceback_is_redacted(written: io.StringIO) -> None:
    try:
        raise ValueError(TOKEN)
    except ValueError:
        logger.exception("broken")
    assert "ValueError: 771142358$…" in written.getvalue()
    assert KEY.secret not in written.getvalue()


def test_secret_in_a_stack_is_redacted(written: io.StringIO) -> None:
    record = logging.LogRecord("tests", logging.ERROR, __file__, 1, "here", None, None)
    record.stack_info = f"Stack: {TOKEN}"
    logger.handle(record)
    assert "Stack: 771142358$…" in written.getvalue()


def test_call_whose_arguments_do_not_fit_is_written_and_harms_nobody(written: io.StringIO) -> None:
    logger.error("refused %d", TOKEN)
    assert written.getvalue() == "refused %d ('771142358$…',)\n"


@pytest.mark.parametrize("before", ["", "x", "xx"])
def test_short_lived_token_that_has_numbers_in_hexadecimal_is_redacted(before: str) -> None:
    """Its middle looks like the secret of an API token in base64, and is redacted as such."""
    claims = b64encode(json.dumps({"exp": before, "jti": "9a" * 36}).encode()).decode()
    text = redact(f"Not Found: /eyJhbGciOiJIUzI1NiJ9.{claims.rstrip('=')}.c2lnbmF0dXJl-_9/")
    assert "c2lnbmF0dXJl" not in text


def test_short_lived_token_is_redacted(written: io.StringIO) -> None:
    header, body, signature = "eyJhbGciOiJIUzI1NiJ9", "eyJmYW1pbHkiOiJ4In0", "c2lnbmF0dXJl-_9"
    logger.error("refused Bearer %s.%s.%s for good", header, body, signature)
    assert written.getvalue() == f"refused Bearer {header}.{body}.… for good\n"


@pytest.mark.parametrize("stop", ["%2E", "%252e"])
def test_signature_of_a_quoted_short_lived_token_is_hidden(stop: str) -> None:
    text = redact(f"/?token=eyJhbGciOiJIUzI1NiJ9{stop}eyJmYW1pbHkiOiJ4In0{stop}c2lnbmF0dXJl-_9")

    assert "c2lnbmF0dXJl" not in text
