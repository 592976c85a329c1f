"""Background jobs: when each was last done, by the clock of the database.

Senders, workers and web processes run on several machines, whose clocks differ. What they agree on,
such as leases and heartbeats, is told by the one clock that they share.
"""

import logging
from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext
from datetime import datetime, timedelta
from typing import Any, NamedTuple, TypeVar

from celery.exceptions import SoftTimeLimitExceeded
from django.conf import settings
from django.db import connection
from django.utils import timezone

from notifications.models import Heartbeat

logger = logging.getLogger(__name__)

MISSED_INTERVALS = 3
"""After so many a job is overdue."""
SCANNED, DELIVERED = "expirations_scanned", "mails_delivered"
_PROGRESS = {"scan-expirations": SCANNED, "deliver-mails": DELIVERED}
"""Jobs that may take longer than their interval, and the heartbeats that they record meanwhile and
when they are done."""

BACKED_UP = "backed_up"
"""The heartbeat of backups, which no schedule of the portal's makes."""
LOCK_SECONDS = 10.0
"""For each lock of an item. Requests that hold one end sooner."""
_IDLE = 0
"""psycopg's `TransactionStatus` where no transaction has begun."""

Item = TypeVar("Item")


class SomeFailed(Exception):
    """A job was done but for some of its items. The log has their errors."""

    def __init__(self, number: int) -> None:
        super().__init__(f"{number} failed; the errors above say why. The others are done.")
        self.number = number


class Job(NamedTuple):
    """A job of the schedule, how often it is due, and when it last finished."""

    name: str
    every: timedelta
    finished_at: datetime | None

    def is_due(self, at: datetime) -> bool:
        return self.finished_at is None or at - self.finished_at >= self.every

    def is_overdue(self, at: datetime, *, since: datetime) -> bool:
        """True if it has missed three intervals, none of which began before `since`."""
        return at - max(self.finished_at or since, since) > MISSED_INTERVALS * self.every


def database_now() -> datetime:
    """The present moment by the clock of the database. With SQLite that is the machine's."""
    return _clock_of_postgresql() if connection.vendor == "postgresql" else timezone.now()


def scheduled(finished: dict[str, datetime] | None = None) -> list[Job]:
    """All jobs of the schedule; `finished` are the heartbeats, if they are known already."""
    beats = dict(Heartbeat.objects.values_list("name", "at")) if finished is None else finished
    schedule: dict[str, dict[str, Any]] = settings.CELERY_BEAT_SCHEDULE
    return [
        Job(name, entry["schedule"].run_every, beats.get(_PROGRESS.get(name, name)))
        for name, entry in schedule.items()
    ]


def name_of(task: str) -> str | None:
    """The job that is this task; None if it is not in the schedule."""
    schedule: dict[str, dict[str, Any]] = settings.CELERY_BEAT_SCHEDULE
    return next((name for name, entry in schedule.items() if entry["task"] == task), None)


def was_just_done(name: str) -> bool:
    """True if the job finished less than half an interval ago: messages that piled up while no
    worker was there, or that a second beat has sent, are work that is done."""
    (job,) = (each for each in scheduled() if each.name == name)
    return job.finished_at is not None and database_now() - job.finished_at < job.every / 2


def record_finished(name: str) -> None:
    """Record that the job has finished now. One that records its progress has done so itself."""
    if name not in _PROGRESS:
        record_heartbeat(name=name, at=database_now())


def record_heartbeat(*, name: str, at: datetime, only_first: bool = False) -> None:
    """Record when a piece of background work was finished. With `only_first` an earlier time
    stands: something has been so since then."""
    change = Heartbeat.objects.get_or_create if only_first else Heartbeat.objects.update_or_create
    change(name=name, defaults={"at": at})


def clear_heartbeat(*, name: str) -> None:
    """Forget a heartbeat: what was so since then is so no more."""
    Heartbeat.objects.filter(name=name).delete()


def for_each(items: Iterable[Item], act: Callable[[Item], int]) -> int:
    """Do a job for each item on its own, whatever becomes of the others. Returns the sum.

    Errors are logged; raises `SomeFailed` at the end. So is an item whose row another process locks
    for `LOCK_SECONDS`: those behind it must not wait until the time of the task is up. A database
    that is gone, or time that is up, ends it at once.
    """
    done = failed = 0
    for item in items:
        try:
            with _limited_waits():
                done += act(item)
        except SomeFailed as some:
            failed += some.number
        except Exception as error:
            if _ends_everything(error):
                raise
            logger.exception("%r failed.", item)
            failed += 1
    if failed:
        raise SomeFailed(failed)
    return done


def for_each_part(parts: Iterable[list[Item]], act: Callable[[list[Item]], int]) -> int:
    """`for_each`, many items at a time: a part that fails is done again, one by one."""

    def do(part: list[Item]) -> int:
        try:
            return act(part)
        except Exception as error:
            if len(part) == 1 or _ends_everything(error):
                raise
            return for_each([[item] for item in part], act)

    return for_each(parts, do)


def _ends_everything(error: Exception) -> bool:
    return isinstance(error, SoftTimeLimitExceeded) or not connection.is_usable()


def _limited_waits() -> AbstractContextManager[None]:
    """Bounds for the locks that transactions of the block wait for. SQLite has one for all."""
    is_on_sqlite = connection.vendor == "sqlite"
    return nullcontext() if is_on_sqlite else connection.execute_wrapper(_limit_wait)


def _limit_wait(execute: Any, sql: Any, params: Any, many: bool, context: dict[str, Any]) -> Any:
    """Send the bound with the first statement of a transaction, for this transaction alone: a
    pooler may give the connection to others."""
    status = context["connection"].connection.info.transaction_status
    if many or status != _IDLE or not isinstance(sql, str):
        return execute(sql, params, many, context)
    bound = f"SET LOCAL lock_timeout = '{round(LOCK_SECONDS * 1000)}ms'"
    result = execute(f"{bound}; {sql}", params, many, context)
    context["cursor"].nextset()
    return result


def _clock_of_postgresql() -> datetime:
    """The time of the question, also within a transaction, where `now()` stands still."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT clock_timestamp()")
        at: datetime = cursor.fetchone()[0]
        return at
