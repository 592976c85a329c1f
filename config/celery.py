"""The Celery application. Tasks are in each app's `tasks.py`, the schedule is in the settings."""

import os
from pathlib import Path
from typing import Any

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

app = Celery("permatoken")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


@app.on_after_configure.connect
def make_queue_folders(sender: Celery, **_facts: Any) -> None:
    """The filesystem broker does not make the folders that it keeps its messages in."""
    options = sender.conf.broker_transport_options or {}
    for name in {"data_folder_in", "data_folder_out", "control_folder"} & options.keys():
        Path(options[name]).mkdir(mode=0o700, parents=True, exist_ok=True)
