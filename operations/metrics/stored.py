"""Metrics that are asked of the database: they are the same whatever process is asked."""

import time
from collections.abc import Iterable
from datetime import datetime, timedelta
from threading import Lock

from django.db import Error, connection
from django.db.models import Count, Q
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from accounts.models import Account, User
from apitokens.models import APIToken
from notifications.health.report import Health, health
from notifications.jobs import database_now
from notifications.models import OPEN_STATES, Mail, State
from operations.time_limit import within

KEPT_SECONDS = 15.0
"""Counting tokens takes a while where there are many; to see them change sooner helps nobody."""
PATIENCE = 5.0
SOON = timedelta(days=7)


class Stored(Collector):
    """Asks every quarter of a minute at the most, and never waits longer than some seconds."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._found: list[Metric] = []
        self._found_at = -KEPT_SECONDS

    def collect(self) -> Iterable[Metric]:
        with self._lock:
            if time.monotonic() - self._found_at >= KEPT_SECONDS:
                self._found, self._found_at = _ask_in_time(), time.monotonic()
            return self._found

    def forget(self) -> None:
        """Ask again the next time."""
        self._found_at = -KEPT_SECONDS


def _ask_in_time() -> list[Metric]:
    if _is_in_transaction():  # of a test: others would not see what it has written
        return [_up(1), *_ask()]
    try:
        return [_up(1), *within(PATIENCE, _ask_and_close)]
    except (Error, TimeoutError):
        return [_up(0)]


def _is_in_transaction() -> bool:
    return connection.in_atomic_block


def _ask_and_close() -> list[Metric]:
    try:
        return _ask()
    finally:
        connection.close()  # it is this thread's


def _up(value: int) -> Metric:
    told = GaugeMetricFamily(
        "permatoken_database_up", "1 while the database answers this process, else 0."
    )
    told.add_metric([], value)
    return told


def _ask() -> list[Metric]:
    at = database_now()
    found = health(at=at)
    return [_tokens(at), *_people(), _mails(), *_background(found), _backup(found), _jobs(found)]


def _tokens(at: datetime) -> Metric:
    """By status. "expiring" ones are among the active."""
    active = Q(deleted_at=None) & (Q(expires_at=None) | Q(expires_at__gt=at))
    counted = APIToken.objects.order_by().aggregate(
        active=Count("pk", filter=active),
        expiring=Count("pk", filter=active & Q(expires_at__lte=at + SOON)),
        expired=Count("pk", filter=Q(deleted_at=None, expires_at__lte=at)),
        deleted=Count("pk", filter=Q(deleted_at__isnull=False)),
    )
    told = GaugeMetricFamily(
        "permatoken_tokens",
        "API tokens by status; expiring ones (within 7 days) are among the active.",
        labels=["status"],
    )
    for status, number in counted.items():
        told.add_metric([status], number)
    return told


def _people() -> Iterable[Metric]:
    for name, words, number in (
        ("permatoken_accounts", "Accounts.", Account.objects.count()),
        ("permatoken_users", "Users that are active.", User.objects.filter(is_active=True).count()),
    ):
        told = GaugeMetricFamily(name, words)
        told.add_metric([], number)
        yield told


def _mails() -> Metric:
    """Those in a final state are too many to be counted. Each of these has its index."""
    states = [*OPEN_STATES, State.HELD, State.FAILED]
    rows = Mail.objects.order_by().filter(state__in=states).values_list("state")
    counted = dict(rows.annotate(Count("pk")))
    told = GaugeMetricFamily(
        "permatoken_emails", "Emails that are not sent yet, by state.", labels=["state"]
    )
    for state in states:
        told.add_metric([state], counted.get(state, 0))
    return told


def _background(found: Health) -> Iterable[Metric]:
    held_up = found.at - found.held_up_since if found.held_up_since else timedelta(0)
    for name, words, value in (
        (
            "permatoken_oldest_due_notice_age_seconds",
            "For how long the oldest notice or email has been due.",
            found.oldest_due_age.total_seconds(),
        ),
        (
            "permatoken_emails_held_up_seconds",
            "For how long emails have waited and the mail server has taken none.",
            held_up.total_seconds(),
        ),
        (
            "permatoken_database_writable",
            "1 while the database can be changed, else 0.",
            int(found.takes_changes),
        ),
        (
            "permatoken_restoring_unsettled",
            "1 while a backup is put back whose emails are not on hold yet: none leaves.",
            int(found.is_unsettled),
        ),
        (
            "permatoken_configuration_faults",
            "Peppers and keys of this process that are not those of the database.",
            len(found.faults),
        ),
    ):
        told = GaugeMetricFamily(name, words)
        told.add_metric([], value)
        yield told


def _backup(found: Health) -> Metric:
    """No sample where there never was one: others back PostgreSQL up by its own means."""
    told = GaugeMetricFamily(
        "permatoken_last_backup_timestamp_seconds",
        "When manage.py backup last began a backup that was made, and read back.",
    )
    if found.last_backup_at is not None:
        told.add_metric([], found.last_backup_at.timestamp())
    return told


def _jobs(found: Health) -> Metric:
    told = GaugeMetricFamily(
        "permatoken_job_overdue",
        "1 for a background job that has missed three intervals, else 0.",
        labels=["name"],
    )
    for job in found.jobs:
        told.add_metric([job.name], int(job.name in found.overdue))
    return told
