"""`manage.py status`: how background work goes, for a person."""

from datetime import datetime
from typing import Any

from django.core.management.base import BaseCommand
from django.utils.timesince import timesince

from notifications.email.unsettled import BROKEN_OFF
from notifications.health.report import health
from notifications.jobs import database_now

READ_ONLY = "Nothing can be changed: the database is read-only, or its disk is full."
LATE = "Late: is the worker running, with beat? Overdue: {jobs}. Its log has the errors of jobs."
HELD_UP = (
    "Held up: no emails are being sent. See the reason at /operators/notifications/mail/; after "
    "fixing it, check with manage.py send_test_email ADDRESS."
)


class Command(BaseCommand):
    help = (
        "Shows when each background job last ran, and what is pending. Exits with 1 if a job is "
        "late or no emails are being sent."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        at = database_now()
        found = health(at=at, started_at=datetime.min.replace(tzinfo=at.tzinfo))
        for name, value in (
            ("Last scan finished", _ago(found.last_scan_at, at)),
            ("Last delivery finished", _ago(found.last_delivery_at, at)),
            ("Oldest due notification", _age(found.oldest_due_at, at)),
            ("No email sent", _for(found.held_up_since, at)),
            ("Emails pending", found.waiting),
            ("Emails on hold", found.held),
            ("Emails failed", found.failed),
            ("Last backup", _ago(found.last_backup_at, at)),
        ):
            self.stdout.write(f"{name:<26}{value}")
        self.stdout.write("Last done:")
        for job in found.jobs:
            late = ", overdue" if job.name in found.overdue else ""
            self.stdout.write(f"  {job.name:<30}{_ago(job.finished_at, at)}{late}")
        if found.held or found.failed:
            self.stdout.write("Resend them at /operators/notifications/mail/.")
        for words in found.faults:
            self.stderr.write(self.style.ERROR(words))
        late = LATE.format(jobs=", ".join(found.overdue))
        for is_so, words in (
            (not found.takes_changes, READ_ONLY),
            (found.is_unsettled, BROKEN_OFF),
            (found.is_silent, late),
            (found.is_held_up, HELD_UP),
        ):
            if is_so:
                self.stderr.write(self.style.ERROR(words))
        if not found.is_well:
            raise SystemExit(1)


def _ago(moment: datetime | None, at: datetime) -> str:
    return f"{_since(moment, at)} ago" if moment else "never"


def _for(moment: datetime | None, at: datetime) -> str:
    return f"for {_since(moment, at)}" if moment else "-"


def _age(moment: datetime | None, at: datetime) -> str:
    return f"pending for {_since(moment, at)}" if moment else "none"


def _since(moment: datetime, at: datetime) -> str:
    """In seconds below a minute, which Django would call 0 minutes."""
    seconds = int((at - moment).total_seconds())
    return f"{seconds} seconds" if seconds < 60 else timesince(moment, at).replace("\xa0", " ")
