"""Sends a span for each request and task to a collector of OpenTelemetry, if one is named.

A span has the route, the status and ids, and nothing of what the client sent: addresses of pages
may be secret. Verification from memory has none: it takes less than making a span.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from django.conf import settings

from telemetry import VERSION
from telemetry.context import request_id

_tracer: Any = None
NAME = "permatoken"


def start_tracing() -> None:
    """Idempotent. Without OTEL_EXPORTER_OTLP_ENDPOINT nothing is loaded."""
    global _tracer
    if not settings.OTEL_EXPORTER_OTLP_ENDPOINT or _tracer is not None:
        return
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # an extra
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    resource = Resource.create({"service.name": NAME, "service.version": VERSION})
    provider = TracerProvider(resource=resource)
    address = f"{settings.OTEL_EXPORTER_OTLP_ENDPOINT.rstrip('/')}/v1/traces"
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=address)))
    _tracer = provider.get_tracer(NAME, VERSION)


class _NoSpan:
    def update_name(self, _name: str) -> None: ...

    def set_attributes(self, _facts: Mapping[str, Any]) -> None: ...


_NO_SPAN = _NoSpan()


@contextmanager
def span(name: str, *, kind: str, parent: str = "") -> Iterator[Any]:
    """A span around the block; `parent` is a header `traceparent` of a trusted sender."""
    if _tracer is None:
        yield _NO_SPAN
        return
    from opentelemetry.trace import SpanKind
    from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

    context = TraceContextTextMapPropagator().extract({"traceparent": parent}) if parent else None
    with _tracer.start_as_current_span(
        name, context=context, kind=SpanKind[kind], record_exception=False
    ) as running:
        running.set_attribute("permatoken.request_id", request_id())
        yield running
