"""Reports errors to Sentry, or to what speaks its protocol, if SENTRY_DSN is set.

A report leaves the building: it has no local variables, no body, no header and no cookie, and every
text in it is redacted as lines of the log are.
"""

from typing import Any

from django.conf import settings

from config.env.error_reports import hide
from telemetry import VERSION
from telemetry.context import request_id


def start_reporting() -> None:
    """Idempotent. Without SENTRY_DSN nothing is loaded."""
    if not settings.SENTRY_DSN:
        return
    import sentry_sdk  # an extra

    sentry_sdk.init(
        dsn=settings.SENTRY_DSN,
        release=f"permatoken@{VERSION}",
        include_local_variables=False,
        include_source_context=False,
        max_request_body_size="never",
        max_breadcrumbs=0,
        traces_sample_rate=None,
        before_send=_without_secrets,
    )


def _without_secrets(event: Any, _hint: Any) -> Any:
    event.pop("request", None)
    event.pop("user", None)
    event.pop("breadcrumbs", None)
    if identifier := request_id():
        event.setdefault("tags", {})["request_id"] = identifier
    return _hidden(event)


def _hidden(value: Any) -> Any:
    if isinstance(value, str):
        return hide(value)
    if isinstance(value, dict):
        return {_hidden(key): _hidden(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_hidden(each) for each in value]
    return value
