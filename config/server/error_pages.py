"""Hides in reports of errors what the request brings to be trusted by: passwords, codes, sessions.

A password is handed through a dozen functions, most of them a library's, that know nothing of
reports. So it is hidden by its value, wherever it stands.
"""

import json
from collections.abc import Iterator, Mapping
from html import escape
from typing import Any
from urllib.parse import quote, quote_plus

from django.conf import settings
from django.http import HttpRequest, RawPostDataException
from django.utils.safestring import SafeString, mark_safe

from accounts.text.passwords import normal_password
from config.env.error_reports import HIDDEN, SHORTEST, RedactedReporter, SecretsFilter

PART = 32
"""Characters of a password that are looked at alone (`accounts.passwords.strength`)."""


class RequestReporter(RedactedReporter):
    """As `RedactedReporter`, and without what this request brought."""

    def get_traceback_html(self) -> SafeString:
        return mark_safe(self._hide(super().get_traceback_html()))  # noqa: S308  # escaped before

    def get_traceback_text(self) -> SafeString:
        return mark_safe(self._hide(super().get_traceback_text()))  # noqa: S308  # plain text

    def _hide(self, text: str) -> str:
        for spelling in sorted(_spellings(self.request), key=len, reverse=True):
            text = text.replace(spelling, HIDDEN)
        return text


def _spellings(request: HttpRequest | None) -> set[str]:
    """The secrets, in all spellings that a report might have; but for those so short that half the
    report would be hidden with them."""
    secrets = {settings.DATABASES["default"].get("PASSWORD") or ""}
    if request is not None:
        secrets.update(_brought_by(request))
    return {
        spelling
        for secret in secrets
        if len(secret) >= SHORTEST
        for form in _forms(secret)
        for spelling in _quoted(form)
    }


def _brought_by(request: HttpRequest) -> Iterator[str]:
    """Every cookie, the key of the session, and fields with the name of a secret."""
    yield from request.COOKIES.values()
    yield getattr(getattr(request, "session", None), "session_key", None) or ""
    for name, value in (*_form(request), *_json(request)):
        if SecretsFilter.hidden_settings.search(name) and isinstance(value, str):
            yield value


def _form(request: HttpRequest) -> Iterator[tuple[str, Any]]:
    for name, values in request.POST.lists():
        yield from ((name, value) for value in values)


def _json(request: HttpRequest) -> Iterator[tuple[str, Any]]:
    try:
        found = json.loads(request.body)
    except (ValueError, RecursionError, RawPostDataException, OSError):
        return
    if isinstance(found, Mapping):
        yield from found.items()


def _forms(secret: str) -> Iterator[str]:
    """The secret as it comes, as it is hashed and compared, and as psycopg writes it for libpq."""
    for form in (secret, normal_password(secret)):
        yield from (form, form.lower(), form[:PART], form[-PART:])
    yield secret.replace("\\", "\\\\").replace("'", "\\'")


def _quoted(text: str) -> Iterator[str]:
    """The text itself, as addresses have it, and as Python does; each in HTML too."""
    slashed = text.replace("\\", "\\\\")
    for each in (text, quote(text), quote_plus(text), slashed, slashed.replace("'", "\\'")):
        yield each
        yield escape(each)
