"""The Celery application. Tasks are in each app's `tasks.py`, the schedule is in the settings."""

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


@worker_ready.connect
def ring_at_once(**_facts: Any) -> None:
    """Look for notices as soon as a worker is there: after an outage people have waited already,
    and beat lets an interval pass first. Ringing once more is dull."""
    for name in AT_ONCE:
        entry = app.conf.beat_schedule[name]
        app.send_task(entry["task"], **entry["options"])


@app.on_after_configure.connect
def make_queue_folders(sender: Celery, **_facts: Any) -> None:
    """The filesystem broker does not make the folders that it keeps its messages in."""
    options = sender.conf.broker_transport_options or {}
    for name in {"data_folder_in", "data_folder_out", "control_folder"} & options.keys():
        Path(options[name]).mkdir(mode=0o700, parents=True, exist_ok=True)
