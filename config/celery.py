"""The Celery application. Tasks are in each app's `tasks.py`, their times in `beat_schedule`."""

import os
from pathlib import Path
from typing import Any

from celery import Celery
from celery.signals import worker_ready

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

app = Celery("permatoken")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()

AT_ONCE = ("scan-expirations", "deliver-mails")
"""Entries of the schedule that each worker sends when it starts."""


@worker_ready.connect
def run_at_once(**_facts: Any) -> None:
    """Send the notices' tasks as soon as a worker is ready: after an outage people have waited
    already, and beat lets an interval pass first. The tasks are idempotent."""
    for name in AT_ONCE:
        entry = app.conf.beat_schedule[name]
        app.send_task(entry["task"], **entry["options"])


@app.on_after_configure.connect
def make_queue_folders(sender: Celery, **_facts: Any) -> None:
    """Make the folders of the filesystem broker, which does not make them itself."""
    options = sender.conf.broker_transport_options or {}
    for name in {"data_folder_in", "data_folder_out", "control_folder"} & options.keys():
        Path(options[name]).mkdir(mode=0o700, parents=True, exist_ok=True)
