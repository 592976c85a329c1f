"""Redacts secrets in log records, whichever library writes them: tokens and signed links."""

import logging
import re
from typing import Any

from django.apps import apps
from django.core.exceptions import ImproperlyConfigured

from accounts import validators
from accounts.jwt.redaction import redact as redact_short_lived
from apitokens import keys
from notifications import links
from notifications.links import hide_secrets, unquoted

# What `django.core.signing` and the tokens of password resets look like, wherever they stand: the
# last part is what nobody can guess.
_SIGNED = re.compile(r"((?::|%3A)[0-9A-Za-z]{5,7}(?::|%3A))[\w-]{43}(?![\w-])", re.ASCII | re.I)
_RESET = re.compile(r"\b([0-9A-Za-z]{1,13}-[0-9a-z]{6,7}-)[0-9a-f]{32}\b", re.ASCII)


LONGEST = 50_000
"""Characters of a message or traceback that are written. Servers bound what a stranger sends in one
request, but not much below."""
_LONGEST_SECRET = 500
"""Characters, however it is quoted."""


class RedactTokens(logging.Filter):
    """Replaces the secret of every token and link in a record: in message, traceback and stack."""

    def filter(self, record: logging.LogRecord) -> bool:
        redact_record(record)
        return True


def redact_record(record: logging.LogRecord) -> None:
    """Redact a record in place. Idempotent."""
    record.msg, record.args = _redact_bounded(_message(record)), None
    if record.exc_info and not record.exc_text:
        record.exc_text = logging.Formatter().formatException(record.exc_info)
    if record.exc_text:
        record.exc_text = _redact_bounded(record.exc_text)
    if record.stack_info:
        record.stack_info = _redact_bounded(record.stack_info)


def install() -> None:
    """Redact each record when it is made. Servers, workers and Django have loggers whose handlers
    are not the portal's: the access log of granian, for one. Idempotent."""
    make = logging.getLogRecordFactory()
    if getattr(make, "redacts", False):
        return

    def make_redacted(*args: Any, **kwargs: Any) -> logging.LogRecord:
        record = make(*args, **kwargs)
        redact_record(record)
        return record

    make_redacted.redacts = True  # type: ignore[attr-defined]  # so that it is installed once
    logging.setLogRecordFactory(make_redacted)


@validators.holds_token.register
def holds_token(text: str) -> bool:
    """True if there is a token or a signed link in the text, or the secret part of one."""
    return redact_tokens(text) != text


def redact_tokens(text: str) -> str:
    """The text without the secrets of tokens and signed links that stand in it as they are. Of a
    short-lived token the signature goes first: what is in its middle may look like an API token,
    and without it the rest is none any more."""
    return _RESET.sub(r"\1…", _SIGNED.sub(r"\1…", keys.redact(redact_short_lived(text))))


@links.redact.register
def redact(text: str) -> str:
    """The text without secrets. What shows only once quoting is undone is told unquoted."""
    hidden = _redact(text)
    plain = unquoted(hidden)
    if plain == hidden:
        return hidden
    redacted = _redact(plain)
    return hidden if redacted == plain else redacted


def _redact_bounded(text: str) -> str:
    """As `redact`, without the middle of what is too long: the end of a traceback says the most. A
    secret that the cuts go through is nowhere recognized any more, so what is left of it beside
    them goes, too."""
    if len(text) <= LONGEST:
        return redact(text)
    half = LONGEST // 2
    begin, end = redact(text[:half]), redact(text[-half:])
    return f"{begin[:-_LONGEST_SECRET]} … {end[_LONGEST_SECRET:]}"


def _redact(text: str) -> str:
    text = redact_tokens(text)
    return _hide_secret_paths(text) if "/" in text or "%2F" in text.upper() else text


def _hide_secret_paths(text: str) -> str:
    """Without the URL configuration there is no path yet: Django is starting."""
    if not apps.ready:
        return text
    try:
        return hide_secrets(text)
    except (ImproperlyConfigured, ImportError):
        return text


def _message(record: logging.LogRecord) -> str:
    """The message, even of a call whose arguments do not fit: that must not stop its caller."""
    try:
        return record.getMessage()
    except (TypeError, ValueError, KeyError):
        return f"{record.msg} {record.args!r}"
