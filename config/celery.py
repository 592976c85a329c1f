"""The Celery application. Tasks are in each app's `tasks.py`, their times in `beat_schedule`."""

import os
import signal
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from threading import Thread
from typing import Any

import django
from celery import Celery
from celery.signals import worker_init, worker_ready

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

app = Celery("permatoken")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()

PAUSE = 5.0
"""Seconds between questions to a database that is away."""
AT_ONCE = ("scan-expirations", "deliver-mails")
"""Entries of the schedule that each worker sends when it starts."""


@worker_init.connect
def require_right_peppers(**_facts: Any) -> None:
    """End a worker that starts with wrong peppers, as web processes do. While the database is away
    it starts, and ends when the database says so."""
    django.setup()
    from apitokens.pepper_checks import PepperGuard  # needs the apps

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


@worker_ready.connect
def run_at_once(**_facts: Any) -> None:
    """Send the notices' tasks as soon as a worker is ready: after an outage people have waited
    already, and beat lets an interval pass first. The tasks are idempotent."""
    for name in AT_ONCE:
        entry = app.conf.beat_schedule[name]
        app.send_task(entry["task"], **entry["options"])


@app.on_after_configure.connect
def make_folders(sender: Celery, **_facts: Any) -> None:
    """Make the folders of the filesystem broker and of beat's schedule, which do not make them
    themselves. (Where the secrets are settings, nothing else may have made DATA_DIR.)"""
    options = sender.conf.broker_transport_options or {}
    names = {"data_folder_in", "data_folder_out", "control_folder"} & options.keys()
    folders = [Path(options[name]) for name in names]
    for folder in (*folders, Path(sender.conf.beat_schedule_filename).parent):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
