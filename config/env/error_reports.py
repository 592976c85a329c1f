"""Hides secrets in Django's reports of errors: the page that DEBUG shows, and its text."""

import logging
import os
import re
from collections.abc import ItemsView, Iterator
from html import escape
from types import FrameType
from typing import Any
from urllib.parse import unquote, urlsplit

from django.conf import settings
from django.http import HttpRequest
from django.utils.safestring import SafeString, mark_safe
from django.views.debug import ExceptionReporter, SafeExceptionReporterFilter

from apitokens.log_redaction import redact

HIDDEN = SafeExceptionReporterFilter.cleansed_substitute
SHORTEST = 4
"""Characters. What is shorter is hidden where it stands, not wherever it might come again."""
_URLS = ("DATABASE_URL", "REDIS_URL", "EMAIL_URL", "CELERY_BROKER_URL")
_PASSWORD = re.compile(r"(://[^\s:/?#@\"']*:)[^\s/?#\"']+(@)")
_PARAMETER = re.compile(
    r"([?&](?:\w*password|passwd|pwd|\w*secret|token|scram_\w+_key)=)[^&\s\"'<]+", re.IGNORECASE
)
_OF_LIBPQ = ("sslpassword", "oauth_client_secret", "scram_client_key", "scram_server_key")
"""Secrets among the parameters of a connection to PostgreSQL."""


class BriefRefusals(logging.Filter):
    """Logs what was refused (4xx) in a line, without the traceback of how: anybody can have as many
    as they like."""

    def filter(self, record: logging.LogRecord) -> bool:
        if 400 <= getattr(record, "status_code", 0) < 500:
            record.exc_info = record.exc_text = None
        return True


class SecretsFilter(SafeExceptionReporterFilter):
    """Hides settings with a secret, passwords in URLs, and what views call sensitive: also with
    DEBUG, whose page ends up in tickets and screenshots."""

    hidden_settings = re.compile(
        f"{SafeExceptionReporterFilter.hidden_settings.pattern}|PEPPER|COOKIE|CREDENTIAL",
        re.IGNORECASE,
    )

    def is_active(self, request: HttpRequest | None) -> bool:
        return True

    def get_traceback_frame_variables(
        self, request: HttpRequest | None, tb_frame: FrameType
    ) -> ItemsView[str, Any]:
        """Hide what has the name of a secret in dictionaries too: headers, keyword arguments."""
        found = super().get_traceback_frame_variables(request, tb_frame)
        return {name: self._without_secrets(value) for name, value in found}.items()

    def _without_secrets(self, value: Any) -> Any:
        if type(value) is not dict:
            return value
        return {
            key: HIDDEN if isinstance(key, str) and self.hidden_settings.search(key) else each
            for key, each in value.items()
        }

    def get_safe_cookies(self, request: HttpRequest) -> dict[str, Any]:
        """Each of them is a key to something, whatever it is called."""
        return dict.fromkeys(super().get_safe_cookies(request), self.cleansed_substitute)

    def cleanse_setting(self, key: Any, value: Any) -> Any:
        cleansed = super().cleanse_setting(key, value)
        return hide(cleansed) if isinstance(cleansed, str) else cleansed


class RedactedReporter(ExceptionReporter):
    """Redacts the whole report: a secret may stand in any variable, and in the address."""

    def get_traceback_html(self) -> SafeString:
        return mark_safe(hide(super().get_traceback_html()))  # noqa: S308  # Django has escaped it

    def get_traceback_text(self) -> SafeString:
        return mark_safe(hide(super().get_traceback_text()))  # noqa: S308  # plain text


def hide(text: str) -> str:
    """Replace everything secret in the text: tokens, signed links, passwords in URLs, and what the
    settings hold."""
    for secret in sorted(_secrets(), key=len, reverse=True):
        text = text.replace(secret, HIDDEN)
    text = _PASSWORD.sub(rf"\1{HIDDEN}\2", text)
    return redact(_PARAMETER.sub(rf"\1{HIDDEN}", text))


def _secrets() -> set[str]:
    """The secrets of the settings, in all spellings that a report might have."""
    found = {
        spelling
        for secret in _values()
        for spelling in (secret, escape(secret), unquote(secret), escape(repr(secret)[1:-1]))
    }
    return {text for text in found if len(text) >= SHORTEST}


def _values() -> Iterator[str]:
    yield from (settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS)
    yield from (settings.METRICS_TOKEN, urlsplit(settings.SENTRY_DSN).username or "")
    database = settings.DATABASES["default"]
    yield from (settings.EMAIL_HOST_PASSWORD, database.get("PASSWORD") or "")
    yield from (str(database.get("OPTIONS", {}).get(name) or "") for name in _OF_LIBPQ)
    for pepper in settings.TOKEN_PEPPERS.values():
        yield from (pepper.hex(), repr(pepper)[2:-1])
    for name in _URLS:
        url = os.environ.get(name) or getattr(settings, name, "")
        yield _password_of(url or "")


def _password_of(url: str) -> str:
    try:
        return urlsplit(url).password or ""
    except ValueError:
        return ""
