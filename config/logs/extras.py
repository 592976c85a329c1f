"""Settings that need packages which not everybody installs."""

from importlib.util import find_spec
from urllib.parse import urlsplit

from django.core.exceptions import ImproperlyConfigured

INSTALL = (
    "install what they need: .venv/bin/pip install --require-hashes -r requirements-extras.txt"
)

COLLECTOR = "http://collector.internal:4318"
"""What the address of a collector looks like."""


def parse_dsn(text: str) -> str:
    """Check `SENTRY_DSN`. Errors do not repeat it."""
    if text:
        _require_url("SENTRY_DSN", text, "https://key@sentry.example.com/1", has_user=True)
        _require_package("SENTRY_DSN", "sentry_sdk")
    return text


def parse_collector(text: str) -> str:
    """Check the address of a collector of OpenTelemetry."""
    if text:
        name = "OTEL_EXPORTER_OTLP_ENDPOINT"
        _require_url(name, text, COLLECTOR, has_user=False)
        _require_package(name, "opentelemetry")
    return text


def _require_url(name: str, text: str, example: str, *, has_user: bool) -> None:
    try:
        parts = urlsplit(text)
        is_url = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
        is_url = is_url and bool(parts.username) is has_user and text.isprintable()
        is_url = is_url and (not has_user or parts.path.rpartition("/")[2].isdecimal())
    except ValueError:
        is_url = False
    if not is_url:
        raise ImproperlyConfigured(f"{name} must look like {example}.")


def _require_package(name: str, package: str) -> None:
    if find_spec(package) is None:
        raise ImproperlyConfigured(f"{name} must be left out, or {INSTALL}")
