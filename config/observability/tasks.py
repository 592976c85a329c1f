"""Counts background tasks, by Celery's own signals."""

import time
from typing import Any

from celery import Task
from celery.signals import task_postrun, task_prerun, worker_init, worker_process_init

from telemetry.metrics import TASK_SECONDS, TASKS

_began: dict[str, float] = {}


@worker_init.connect
@worker_process_init.connect
def begin(**_facts: Any) -> None:
    """Let others know of what this process counts."""
    from operations.metrics.exposition import begin_to_count  # needs the apps

    begin_to_count()


@task_prerun.connect
def note_begin(task_id: str, **_facts: Any) -> None:
    _began[task_id] = time.perf_counter()


@task_postrun.connect
def count(task_id: str, task: Task[Any, Any], state: str | None = None, **_facts: Any) -> None:
    took = time.perf_counter() - _began.pop(task_id, time.perf_counter())
    TASKS.labels(task.name, (state or "unknown").lower()).inc()
    TASK_SECONDS.labels(task.name).observe(took)
