"""Puts the apps together: settings, addresses, web entry and Celery application."""

from config.celery import app as celery_app

__all__ = ["celery_app"]
