"""Celery tasks. They only trigger work; the outbox table says what is due."""

import logging
import mmap
import time
from datetime import timedelta

from celery import shared_task
from celery.signals import worker_shutting_down
from django.conf import settings
from django.db import transaction

from notifications.email import delivery
from notifications.jobs import database_now

logger = logging.getLogger(__name__)

QUIET_SECONDS = 10.0
"""How long nothing is published after a failure: each try may cost a person a second."""

_stopping = mmap.mmap(-1, 1)
"""A byte that the worker shares with the processes it has forked. An event would have a lock, and a
process killed with the lock in hand would stop them all."""


@worker_shutting_down.connect
def _stop(**_facts: object) -> None:
    _stopping[0] = 1


class _Trigger:
    """Publishes that mails wait; none of it is ever needed, because beat does so at intervals."""

    def __init__(self) -> None:
        self.quiet_until = 0.0

    def __call__(self) -> None:
        """Have mails sent now. A broker that is down, or does not answer, delays them until the
        next interval, and fails nobody."""
        if time.monotonic() < self.quiet_until:
            return
        try:
            deliver_mails.apply_async()
        except Exception as error:  # whatever is wrong with the queue
            self.quiet_until = time.monotonic() + QUIET_SECONDS
            logger.warning("The queue does not answer; mails leave at the next interval: %s", error)


trigger_delivery = _Trigger()


def enqueue_delivery_on_commit() -> None:
    """Have mails sent as soon as the transaction is committed, not only at the next interval."""
    transaction.on_commit(trigger_delivery, robust=True)


@shared_task
def deliver_mails() -> int:
    """Send the mails that are due, until the next interval. Returns how many were sent.

    A longer run would keep a worker from scanning, however many mails wait. While more wait than
    one sender is soon done with, it calls another, until all processes of all workers help; but not
    before the server has taken a mail, or all of them would run up against one that is down. One
    that is asked to stop finishes the mail in hand.
    """
    until = database_now() + timedelta(seconds=settings.NOTICES_EVERY_SECONDS)
    return delivery.deliver(
        until=until, is_stopping=lambda: bool(_stopping[0]), on_first_sent=_call_help
    ).sent


def _call_help() -> None:
    if delivery.needs_help(at=database_now()):
        trigger_delivery()
