"""Words all metrics for Prometheus."""

import platform
from collections.abc import Iterable
from pathlib import Path

import django
from django.conf import settings
from django.db import connection
from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from apitokens.usage import flusher
from operations.metrics.stored import PATIENCE, Stored
from operations.redis_answers import redis_answers
from operations.time_limit import within
from telemetry import VERSION, files, metrics


def folder() -> Path:
    """Where the processes of this machine write what they count."""
    return Path(settings.DATA_DIR) / "metrics"


def begin_to_count() -> None:
    """This process serves: let others know of what it counts. Idempotent, and asked so often that
    the folder is only looked for once."""
    if not files.writer.is_started:
        files.writer.start(folder())


class _Processes(Collector):
    def collect(self) -> Iterable[Metric]:
        return files.all_processes(folder())


class _Build(Collector):
    def collect(self) -> Iterable[Metric]:
        told = GaugeMetricFamily(
            "permatoken_build_info",
            "1, with the releases that run as labels.",
            labels=["version", "python", "django", "database"],
        )
        versions = [VERSION, platform.python_version(), django.get_version(), connection.vendor]
        told.add_metric(versions, 1)
        yield told


class _Redis(Collector):
    """No sample where there is none in this shape."""

    def collect(self) -> Iterable[Metric]:
        told = GaugeMetricFamily(
            "permatoken_redis_up", "1 while Redis answers this process, else 0."
        )
        if settings.REDIS_URL:
            told.add_metric([], self._asks())
        yield told

    def _asks(self) -> int:
        try:
            return int(within(PATIENCE, redis_answers) or False)
        except TimeoutError:  # its name is not found in time
            return 0


stored = Stored()
everything = CollectorRegistry()
for _collector in (_Build(), _Processes(), _Redis(), stored):
    everything.register(_collector)


@metrics.before_collecting.append
def _usage_waiting() -> None:
    metrics.USAGE_WAITING.set(flusher.usage_flusher.waits_for)
