"""Observes background tasks by Celery's own signals: counts them, and carries ids of requests."""

import time
from contextlib import ExitStack
from typing import Any

from celery import Task
from celery.signals import (
    before_task_publish,
    task_postrun,
    task_prerun,
    worker_init,
    worker_process_init,
)

from telemetry.context import is_request_id, request_id, working_for
from telemetry.metrics import TASK_SECONDS, TASKS

REQUEST_ID = "request_id"
_running: dict[str, tuple[float, ExitStack]] = {}


@worker_init.connect
@worker_process_init.connect
def begin(**_facts: Any) -> None:
    """Let others know of what this process counts, and of its errors."""
    from config.observability.sentry import start_reporting  # these need the apps
    from config.observability.tracing import start_tracing
    from operations.metrics.exposition import begin_to_count

    begin_to_count()
    start_reporting()
    start_tracing()


@before_task_publish.connect
def send_request_id(headers: dict[str, Any] | None = None, **_facts: Any) -> None:
    """The task is done for the request that sends it."""
    if headers is not None and request_id():
        headers.setdefault(REQUEST_ID, request_id())


@task_prerun.connect
def note_begin(task_id: str, task: Task[Any, Any], **_facts: Any) -> None:
    from config.observability.tracing import span  # needs the settings

    given = getattr(task.request, REQUEST_ID, None)
    identifier = given if isinstance(given, str) and is_request_id(given) else task_id
    stack = ExitStack()
    stack.enter_context(working_for(identifier))
    stack.enter_context(span(task.name, kind="CONSUMER"))
    _running[task_id] = time.perf_counter(), stack


@task_postrun.connect
def count(task_id: str, task: Task[Any, Any], state: str | None = None, **_facts: Any) -> None:
    began, stack = _running.pop(task_id, (time.perf_counter(), ExitStack()))
    TASKS.labels(task.name, (state or "unknown").lower()).inc()
    TASK_SECONDS.labels(task.name).observe(time.perf_counter() - began)
    stack.close()
