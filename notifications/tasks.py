"""Celery tasks. They only trigger work; the outbox table says what is due."""

import mmap
from datetime import timedelta

from celery import shared_task
from celery.signals import worker_shutting_down
from django.conf import settings
from django.db import transaction
from django.utils import timezone

from notifications.email import delivery

_stopping = mmap.mmap(-1, 1)
"""A byte that the worker shares with the processes it has forked. An event would have a lock, and a
process killed with the lock in hand would stop them all."""


@worker_shutting_down.connect
def _stop(**_facts: object) -> None:
    _stopping[0] = 1


def enqueue_delivery_on_commit() -> None:
    """Have mails sent as soon as the transaction is committed, not only at the next interval.

    A broker that is down delays them until then, and fails no request.
    """
    expires = settings.NOTICES_EVERY_SECONDS
    transaction.on_commit(lambda: deliver_mails.apply_async(expires=expires), robust=True)


@shared_task
def deliver_mails() -> int:
    """Send the mails that are due, until the next interval. Returns how many were sent.

    A longer run would keep a worker from scanning, however many mails wait. While more wait than
    one sender is soon done with, it calls another, until all processes of all workers help; but not
    before the server has taken a mail, or all of them would run up against one that is down. One
    that is asked to stop finishes the mail in hand.
    """
    until = timezone.now() + timedelta(seconds=settings.NOTICES_EVERY_SECONDS)
    return delivery.deliver(
        until=until, is_stopping=lambda: bool(_stopping[0]), on_first_sent=_call_help
    ).sent


def _call_help() -> None:
    if delivery.needs_help(at=timezone.now()):
        deliver_mails.apply_async(expires=settings.NOTICES_EVERY_SECONDS)
