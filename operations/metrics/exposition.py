"""Words all metrics for Prometheus."""

import platform
from collections.abc import Iterable

import django
from django.conf import settings
from django.db import connection
from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from apitokens.usage import flusher
from operations.data_dir import free_bytes, metrics_folder, refusal
from operations.metrics.stored import PATIENCE, Stored
from operations.redis_answers import redis_answers
from operations.time_limit import within
from telemetry import VERSION, files, metrics


def begin_to_count() -> None:
    """This process serves: let others know of what it counts. Idempotent, and asked so often that
    the folder is only looked for once."""
    if not files.writer.is_started:
        files.writer.start(metrics_folder())


class _Processes(Collector):
    def collect(self) -> Iterable[Metric]:
        return files.all_processes(metrics_folder())


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


class _Disk(Collector):
    """Of the machine that is asked."""

    def collect(self) -> Iterable[Metric]:
        free = free_bytes()
        told = GaugeMetricFamily(
            "permatoken_data_dir_free_bytes", "Free bytes of the disk that DATA_DIR is on."
        )
        if free is not None:
            told.add_metric([], free)
        yield told
        yield GaugeMetricFamily(
            "permatoken_data_dir_writable",
            "1 while this machine can write down what it counts, else 0: then counts stand still.",
            value=int(not refusal()),
        )


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
for _collector in (_Build(), _Disk(), _Processes(), _Redis(), stored):
    everything.register(_collector)


@metrics.before_collecting.append
def _usage_waiting() -> None:
    metrics.USAGE_WAITING.set(flusher.usage_flusher.waits_for)
