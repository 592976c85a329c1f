"""The portal's Celery application with short times: what takes minutes there takes seconds here.

Nothing else of it is changed.
"""

from datetime import timedelta

import django

from config.celery import app

__all__ = ["app"]

LEASE = timedelta(seconds=4)


def _hurry() -> None:
    from notifications.email import claims, delivery, transport

    claims.FIRST_PAUSE, claims.LONGEST_PAUSE = timedelta(seconds=0.3), timedelta(seconds=1)
    claims.lease = lambda: LEASE
    claims.CLAIM_AT_ONCE, delivery.HELP_FROM = 4, 4  # so that senders compete
    transport.PATIENCE = 1


django.setup()
_hurry()
