"""Puts the apps together: settings, addresses, web entry and Celery application."""

import os

from config.celery import app as celery_app

# Whoever runs the portal, by whatever door: the database, the mail and the queue are theirs alone.
os.umask(0o077)

__all__ = ["celery_app"]
