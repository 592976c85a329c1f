"""The metrics of a process, by the conventions of Prometheus.

Each process counts for itself, in memory, and `telemetry.files` puts the processes of a machine
together. What is the same for all of them, such as how many tokens there are, is asked of the
database when they are read (`operations.metrics`).

Verification has counters of its own: it is answered in some 30 microseconds, of which a counter of
the library would be a tenth.
"""

import os
import threading
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics
from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

disable_created_metrics()  # type: ignore[no-untyped-call]

REGISTRY = CollectorRegistry()
"""Of this process."""

HTTP_REQUESTS = Counter(
    "permatoken_http_requests",
    "Requests by route and status; verification and introspection have counters of their own.",
    ["method", "route", "status"],
    registry=REGISTRY,
)
HTTP_SECONDS = Histogram(
    "permatoken_http_request_duration_seconds",
    "Time from a request to its answer, by route.",
    ["route"],
    buckets=(0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 20),
    registry=REGISTRY,
)
DATABASE_ERRORS = Counter(
    "permatoken_database_errors",
    "Failures of the database that were logged, by kind (unavailable, busy, read_only, disk_full).",
    ["kind"],
    registry=REGISTRY,
)
DATABASE_SECONDS = Histogram(
    "permatoken_database_statement_duration_seconds",
    "Time of a statement, with what it waited for locks and for writers to SQLite.",
    buckets=(0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.1, 0.5, 1, 5, 20),
    registry=REGISTRY,
)
DATABASE_TURNED_AWAY = Counter(
    "permatoken_database_turned_away",
    "Requests that were answered 503 because all that may ask the database were waiting for it.",
    registry=REGISTRY,
)
LIMITED = Counter(
    "permatoken_rate_limit_refusals",
    "Tries that were refused because a limit was reached, by limit.",
    ["limit"],
    registry=REGISTRY,
)
EVENTS = Counter(
    "permatoken_audit_events",
    "Events of the audit log: sign-ins, refused ones, tokens created, and so on.",
    ["event"],
    registry=REGISTRY,
)
TASKS = Counter(
    "permatoken_tasks",
    "Background tasks by result (success, failure, retry).",
    ["task", "result"],
    registry=REGISTRY,
)
TASK_SECONDS = Histogram(
    "permatoken_task_duration_seconds",
    "Time of a background task.",
    ["task"],
    buckets=(0.01, 0.05, 0.1, 0.5, 1, 5, 30, 120, 600),
    registry=REGISTRY,
)
USAGE_WAITING = Gauge(
    "permatoken_usage_waiting_seconds",
    "For how long processes could not store that tokens were used; 0 while they can.",
    registry=REGISTRY,
)
WITH_LABELS = (HTTP_REQUESTS, HTTP_SECONDS, DATABASE_ERRORS, LIMITED, EVENTS, TASKS, TASK_SECONDS)

VERIFICATION_BOUNDS = (
    *(0.000025, 0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005),
    *(0.01, 0.025, 0.05, 0.1, 0.5, 1.0, 5.0),
)
MOST_NOTED = 1_000_000
"""More than a process answers in a second. Of more the last are counted."""
MEMORY, DATABASE = "memory", "database"


class Verifications(Collector):
    """Counts verifications, and how long they took.

    They are only noted, in a few hundredths of a microsecond, and counted by the thousand when the
    metrics are read, which is every second.
    """

    def __init__(self) -> None:
        self._noted: dict[tuple[str, str, str], deque[float]] = {}
        self.reset()

    def reset(self) -> None:
        for noted in self._noted.values():
            noted.clear()
        self._lock = threading.Lock()
        self._times: dict[tuple[str, str, str], int] = defaultdict(int)
        self._buckets = {each: [0] * (len(VERIFICATION_BOUNDS) + 1) for each in (MEMORY, DATABASE)}
        self._seconds = {MEMORY: 0.0, DATABASE: 0.0}

    def add(self, endpoint: str, result: str, source: str, seconds: float) -> None:
        """Count one. Thread-safe."""
        self.notes_of((endpoint, result, source)).append(seconds)

    def notes_of(self, labels: tuple[str, str, str]) -> deque[float]:
        """Where the seconds of those with these labels are noted, for good. Thread-safe."""
        noted = self._noted.get(labels)
        if noted is None:
            noted = self._noted.setdefault(labels, deque(maxlen=MOST_NOTED))
        return noted

    def _count_noted(self, labels: tuple[str, str, str], waiting: deque[float]) -> None:
        take = waiting.popleft
        noted = [take() for _each in range(len(waiting))]
        source = labels[-1]
        with self._lock:
            self._times[labels] += len(noted)
            self._seconds[source] += sum(noted)
            for place, number in enumerate(_numbers_between_bounds(noted)):
                self._buckets[source][place] += number

    def collect(self) -> Iterable[Metric]:
        for labels, waiting in list(self._noted.items()):
            if waiting:
                self._count_noted(labels, waiting)
        with self._lock:
            times = dict(self._times)
            buckets = {source: list(found) for source, found in self._buckets.items()}
            seconds = dict(self._seconds)
        counted = CounterMetricFamily(
            "permatoken_verifications",
            "Tokens that were asked about: where, with what result, and answered from what.",
            labels=["endpoint", "result", "source"],
        )
        for labels, number in times.items():
            counted.add_metric(labels, number)
        yield counted
        took = HistogramMetricFamily(
            "permatoken_verification_duration_seconds",
            "Time to answer whether a token is good, inside of the portal.",
            labels=["source"],
        )
        for source, found in buckets.items():
            took.add_metric([source], _cumulative(found), seconds[source])
        yield took


def _numbers_between_bounds(noted: list[float]) -> Iterator[int]:
    """How many took up to each bound, and more than the one before it. Nearly all are below the
    first ones: to leave these out again and again takes a third of the time of sorting all."""
    for bound in VERIFICATION_BOUNDS:
        above = [seconds for seconds in noted if seconds > bound]
        yield len(noted) - len(above)
        noted = above
    yield len(noted)


def _cumulative(found: list[int]) -> list[tuple[str, float]]:
    bounds, total = [*map(str, VERIFICATION_BOUNDS), "+Inf"], 0
    cumulative: list[tuple[str, float]] = []
    for bound, number in zip(bounds, found, strict=True):
        total += number
        cumulative.append((bound, total))
    return cumulative


verifications = Verifications()
REGISTRY.register(verifications)

before_collecting: list[Callable[[], None]] = []
"""Called before the metrics of this process are read: they bring its gauges up to date."""


def begin_anew() -> None:
    """Count from zero: what was counted before a fork, the parent tells."""
    verifications.reset()
    for metric in WITH_LABELS:
        metric.clear()
    DATABASE_TURNED_AWAY.reset()
    DATABASE_SECONDS._metric_init()  # has no labels, and no method for it


os.register_at_fork(after_in_child=begin_anew)
