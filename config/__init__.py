"""The project: settings, URLs, WSGI and Celery applications."""

import os

from config.celery import app as celery_app

# Files of every process (database, mail, queue) are readable to their owner only.
os.umask(0o077)

__all__ = ["celery_app"]
