"""The Celery application. Tasks are in each app's `tasks.py`, their times in `beat_schedule`."""

import os
import signal
import sys
import time
from collections.abc import Callable
from functools import cached_property, partial
from pathlib import Path
from threading import Thread
from typing import Any

import django
from celery import Celery, Task
from celery.beat import PersistentScheduler
from celery.bootsteps import StartStopStep
from celery.signals import (
    task_postrun,
    task_prerun,
    worker_init,
    worker_ready,
    worker_shutdown,
)
from django.conf import settings
from django.db import DatabaseError, connections

from config.beat_schedule import BY_SCHEDULE
from config.env.start import load_settings
from config.observability import tasks  # noqa: F401  # connects its signals
from operations.probes.alive import Sign
from operations.probes.worker import WorkerSign

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

PUBLISHING_SECONDS = 0.3
"""How long Redis has for each answer while something is published; the first that does not come
ends it. People wait for it, and it is never needed: beat sends the same again."""


class Job(Task[Any, Any]):
    """A task that records when it has finished, if it is in the schedule."""

    abstract = True

    def __call__(self, *args: Any, **options: Any) -> Any:
        from apitokens.cache import in_force  # needs the apps, as below
        from notifications import jobs

        name = jobs.name_of(self.name)
        if name is None:
            return super().__call__(*args, **options)
        if (self.request.headers or {}).get(BY_SCHEDULE) and jobs.was_just_done(name):
            return None
        with in_force.together():
            result = super().__call__(*args, **options)
        jobs.record_finished(name)
        return result


class Portal(Celery):
    """Celery, with short patience where it publishes. (What reads waits for messages.)"""

    def on_configure(self) -> None:  # type: ignore[override]  # Celery has a method, its types a signal
        """Called before the settings are needed for the first time."""
        load_settings()

    def connection_for_write(self, url: str | None = None, **options: Any) -> Any:
        """A connection for publishing."""
        patience = {
            "socket_timeout": PUBLISHING_SECONDS,
            "socket_connect_timeout": PUBLISHING_SECONDS,
            "max_retries": 0,
        }
        options["transport_options"] = {**patience, **(options.get("transport_options") or {})}
        return super().connection_for_write(url, **options)


class Scheduler(PersistentScheduler):
    """Celery's own orders tasks by the time of the clock at which they are due. When the clock is
    set back by hours it would send nothing for as long: so it orders them anew."""

    _ticked_at = 0.0

    @cached_property
    def _sign(self) -> Sign:
        """Made in the process that is beat: with `worker --beat` that is a child of the worker."""
        return Sign(settings.DATA_DIR, "beat")

    def tick(self, *facts: Any, **more: Any) -> Any:
        self._sign.show()
        at = time.time()
        if at < self._ticked_at:
            self._heap = None  # made again from the schedule, where `Interval` says what is due
        self._ticked_at = at
        return super().tick(*facts, **more)


_importable = list(sys.path)
app = Portal("permatoken", task_cls=Job)
sys.path[:] = _importable  # without the working directory, which Celery puts in front
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()

PAUSE = 5.0
"""Seconds between questions to a database that is away."""


@worker_init.connect
def require_right_peppers(**_facts: Any) -> None:
    """End a worker that starts with wrong peppers, as web processes do. While the database is away
    it starts, and ends when the database says so."""
    django.setup()
    from apitokens.pepper_checks import PepperGuard  # needs the apps
    from config.database.wal import open_existing_only

    open_existing_only()

    guard = PepperGuard()
    if refusal := guard.refusal_at_start():
        sys.exit(f"This worker does not serve. {refusal}")
    if not guard.is_confirmed:
        ask = partial(_end_if_refused, guard.refusal, lambda: guard.is_confirmed)
        worker_ready.connect(lambda **_: Thread(target=ask, daemon=True).start(), weak=False)


def _end_if_refused(refusal: Callable[[], str | None], is_confirmed: Callable[[], bool]) -> None:
    """Ask until there is an answer. The worker is told to end as its supervisor would tell it."""
    while (found := refusal()) is None and not is_confirmed():
        time.sleep(PAUSE)
    if found:
        sys.stderr.write(f"This worker does not serve. {found}\n")
        os.kill(os.getpid(), signal.SIGTERM)


@worker_init.connect
def show_signs(**_facts: Any) -> None:
    """Show that the worker is alive, for its probe: also while it waits for its broker."""
    sign = WorkerSign(settings.DATA_DIR)
    sign.start()
    app.steps["consumer"].add(_shown_by(sign))
    worker_shutdown.connect(lambda **_: sign.end(), weak=False)
    task_prerun.connect(lambda task_id, **_: sign.task_begins(task_id), weak=False)
    task_postrun.connect(lambda task_id, **_: sign.task_ends(task_id), weak=False)


def _shown_by(sign: WorkerSign) -> type[StartStopStep]:
    """The last step before a worker's main loop, which is left when the connection is lost."""

    class MainLoop(StartStopStep):
        requires = ("celery.worker.consumer:Tasks",)

        def start(self, consumer: Any) -> None:
            sign.loop_begins(consumer.call_soon)

        def stop(self, _consumer: Any) -> None:
            sign.loop_ends()

    return MainLoop


@worker_ready.connect
def run_at_once(**_facts: Any) -> None:
    """Send what is due as soon as a worker is ready: after an outage people have waited already,
    and beat lets an interval pass first. Where its memory does not outlive a restart, that would be
    never for what is due once a day."""
    for name in _due_jobs():
        entry = app.conf.beat_schedule[name]
        app.send_task(entry["task"], **entry["options"])


def _due_jobs() -> list[str]:
    """The names of the jobs that are due; of all, if the database does not answer."""
    from notifications import jobs  # needs the apps

    try:
        at = jobs.database_now()
        return [job.name for job in jobs.scheduled() if job.is_due(at)]
    except DatabaseError:
        return list(app.conf.beat_schedule)
    finally:
        connections.close_all()


@app.on_after_configure.connect
def make_folders(sender: Celery, **_facts: Any) -> None:
    """Make the folders of the filesystem broker and of beat's schedule, which do not make them
    themselves. (Where the secrets are settings, nothing else may have made DATA_DIR.)"""
    options = sender.conf.broker_transport_options or {}
    names = {"data_folder_in", "data_folder_out", "control_folder"} & options.keys()
    folders = [Path(options[name]) for name in names]
    for folder in (*folders, Path(sender.conf.beat_schedule_filename).parent):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
