"""Settings that need packages which not everybody installs."""

from importlib.util import find_spec

from django.core.exceptions import ImproperlyConfigured

from config.env.networks import is_host
from config.env.url_parts import split_url

INSTALL = (
    "install what they need: .venv/bin/pip install --require-hashes -r requirements-extras.txt; "
    "for a container, build its image with --build-arg EXTRAS=1."
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
        parts = split_url(text)
        is_url = parts.scheme in ("http", "https") and is_host(parts.hostname or "")
        is_url = is_url and parts.port != 0 and bool(parts.username) is has_user
        is_url = is_url and not parts.query and text.isascii()
        is_url = is_url and (not has_user or parts.path.rpartition("/")[2].isdecimal())
    except ValueError:
        is_url = False
    if not is_url:
        raise ImproperlyConfigured(f"{name} must look like {example}.")


def _require_package(name: str, package: str) -> None:
    if find_spec(package) is None:
        raise ImproperlyConfigured(f"{name} must be left out, or {INSTALL}")
