"""Health of background work, for /healthz and `manage.py status`."""

import os
from collections.abc import Iterable
from datetime import datetime, timedelta
from pathlib import Path
from shutil import disk_usage
from time import monotonic
from typing import NamedTuple

from django.db import OperationalError, connection, transaction
from django.db.models import Count, Min, Q

from notifications import jobs
from notifications.email import delivery, unsettled
from notifications.hooks import Hook
from notifications.jobs import Job
from notifications.models import OPEN_STATES, Heartbeat, Mail, State

HELD_UP_AFTER = timedelta(minutes=15)
"""For so long no mail may leave without alarm: the first five tries of a mail fall within it, and
so do a mail server's restart and the usual greylisting."""
_STARTED = monotonic()
_DISK_FULL, _LIMIT_OF_ROLE = "53100", "53400"
"""SQLSTATEs of PostgreSQL. A role may be let write less than is asked for here."""
LEAST_FREE = 1 << 20
"""Bytes: what a request writes is some thousand."""


@Hook
def oldest_due(at: datetime) -> datetime | None:
    """Since when the oldest piece of work has been due for the scan; None if there is none."""
    raise NotImplementedError


@Hook
def faults(at: datetime) -> list[str]:
    """Sentences about what keeps this process from serving rightly; empty if nothing does."""
    raise NotImplementedError


class Health(NamedTuple):
    """The health of background work at one moment."""

    at: datetime
    last_scan_at: datetime | None
    last_delivery_at: datetime | None
    oldest_due_at: datetime | None
    held_up_since: datetime | None
    """Since when mails have waited and none has left, because of the mail server."""
    waiting: int
    held: int
    failed: int
    jobs: list[Job]
    """All that the schedule has, and when it was last done."""
    overdue: list[str]
    """Jobs that have missed three intervals: is there a worker, with beat?"""
    faults: list[str]
    takes_changes: bool = True
    """False while the database can only be read, or has no room."""
    is_unsettled: bool = False
    """A backup was put back, and restoring was broken off: no mail leaves."""
    last_backup_at: datetime | None = None
    """None if `manage.py backup` has never made one."""

    @property
    def is_silent(self) -> bool:
        return bool(self.overdue)

    @property
    def is_held_up(self) -> bool:
        return self.held_up_since is not None and self.at - self.held_up_since > HELD_UP_AFTER

    @property
    def is_well(self) -> bool:
        return self.takes_changes and not (
            self.faults or self.is_unsettled or self.is_silent or self.is_held_up
        )

    @property
    def status(self) -> str:
        """One word for machines."""
        if self.faults:
            return "misconfigured"
        if not self.takes_changes:
            return "read only"
        if self.is_unsettled:
            return "unsettled"
        if self.is_silent:
            return "late"
        return "held up" if self.is_held_up else "ok"

    @property
    def oldest_due_age(self) -> timedelta:
        return self.at - self.oldest_due_at if self.oldest_due_at else timedelta(0)


def uptime() -> timedelta:
    """For how long this process has run, whatever its clock shows. Nobody can be late for it until
    three intervals have passed."""
    return timedelta(seconds=monotonic() - _STARTED)


def health(*, at: datetime, started_at: datetime | None = None) -> Health:
    """Ask the database how background work goes. A job is late when it has missed three intervals
    since it last finished, or since this process started. Mails are held up when some wait and none
    has left for a quarter of an hour."""
    beats = dict(Heartbeat.objects.values_list("name", "at"))
    scheduled = jobs.scheduled(beats)
    mails = _mails()
    oldest_mail = _earliest(mails[state].oldest for state in OPEN_STATES if state in mails)
    since = started_at or at - uptime()
    return Health(
        at=at,
        last_scan_at=beats.get(jobs.SCANNED),
        last_delivery_at=beats.get(jobs.DELIVERED),
        oldest_due_at=_earliest([oldest_mail, oldest_due(at)]),
        held_up_since=_latest_of_all([beats.get(delivery.STALLED), oldest_mail]),
        waiting=sum(mails[state].number for state in OPEN_STATES if state in mails),
        held=mails[State.HELD].number if State.HELD in mails else 0,
        failed=mails[State.FAILED].number if State.FAILED in mails else 0,
        jobs=scheduled,
        overdue=[job.name for job in scheduled if job.is_overdue(at, since=since)],
        faults=faults(at),
        is_unsettled=unsettled.is_unsettled(),
        takes_changes=takes_changes(),
        last_backup_at=beats.get(jobs.BACKED_UP),
    )


def takes_changes() -> bool:
    """False for a database that can only be read (a standby, say), or whose disk is full. Asks, and
    changes nothing."""
    if connection.vendor == "sqlite":
        return _has_room(Path(str(connection.settings_dict["NAME"])))
    with connection.cursor() as cursor:
        cursor.execute("SHOW transaction_read_only")
        (is_read_only,) = cursor.fetchone()
    return is_read_only == "off" and _server_has_room()


def _server_has_room() -> bool:
    """True if PostgreSQL finds room for some changes: for a result of half a megabyte, that is,
    which it may not keep in memory and so writes to its disk for a moment."""
    try:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute("SELECT set_config('work_mem', '64kB', true)")  # for this transaction
            cursor.execute("SELECT count(*) FROM generate_series(1, 16000)")
    except OperationalError as error:
        state = getattr(error.__cause__, "sqlstate", None)
        if state not in (_DISK_FULL, _LIMIT_OF_ROLE):
            raise
        return bool(state == _LIMIT_OF_ROLE)
    return True


def _has_room(database: Path) -> bool:
    """True if the file may be written to, and there is room for some changes beside it."""
    if not database.is_file():
        return True  # in memory
    return os.access(database, os.W_OK) and disk_usage(database.parent).free >= LEAST_FREE


class _Some(NamedTuple):
    number: int
    oldest: datetime


def _mails() -> dict[str, _Some]:
    """Mails by state, but for those in their final state. Each of the three has its index, so that
    years of sent mails cost nothing."""
    asked = (
        Q(state=State.PENDING)
        | Q(state__in=[State.CLAIMED, State.HANDING_OVER])
        | Q(state__in=[State.HELD, State.FAILED])
    )
    rows = Mail.objects.filter(asked).values_list("state").annotate(Count("pk"), Min("created_at"))
    return {state: _Some(number, oldest) for state, number, oldest in rows}


def _earliest(instants: Iterable[datetime | None]) -> datetime | None:
    return min((instant for instant in instants if instant), default=None)


def _latest_of_all(instants: Iterable[datetime | None]) -> datetime | None:
    """Since when all of them have held; None if one does not."""
    known = list(instants)
    return max(filter(None, known)) if all(known) else None
