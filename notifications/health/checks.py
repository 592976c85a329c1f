"""System checks: mails that reach nobody, and a worker that does not run."""

from collections.abc import Sequence
from datetime import datetime
from email.utils import parseaddr
from typing import Any

from django.conf import settings
from django.core import checks
from django.core.checks import CheckMessage, Tags, register
from django.db import connection

from notifications.email import unsettled
from notifications.email.transport import SMTP
from notifications.health.report import health
from notifications.jobs import database_now
from notifications.models import Heartbeat


@register(deploy=True)
def mails_leave_the_machine(**_facts: Any) -> list[CheckMessage]:
    """Without a mail server nobody can sign up, or is told that a token expires."""
    if settings.EMAIL_BACKEND == SMTP:
        return []
    return [
        checks.Warning(
            "No email leaves this portal: EMAIL_URL names no mail server, so emails are written to "
            f"{_written_to()}.",
            hint="Set EMAIL_URL=smtp+tls://user:password@mail.example.com:587, and prove it with "
            "manage.py send_test_email ADDRESS.",
            id="notifications.W001",
        )
    ]


def _written_to() -> str:
    is_console = settings.EMAIL_BACKEND == "django.core.mail.backends.console.EmailBackend"
    return "the standard output" if is_console else str(settings.EMAIL_FILE_PATH)


@register(deploy=True)
def mails_have_a_sender(**_facts: Any) -> list[CheckMessage]:
    """A sender at localhost is one that mail servers refuse, and nobody can answer."""
    domain = parseaddr(settings.DEFAULT_FROM_EMAIL)[1].rpartition("@")[2]
    if settings.EMAIL_BACKEND != SMTP or "." in domain:
        return []
    return [
        checks.Warning(
            f"Emails are sent from an address at {domain!r}, which other mail servers reject.",
            hint="Set FROM_EMAIL=Permatoken <noreply@example.com>, with a domain of yours.",
            id="notifications.W003",
        )
    ]


@register(Tags.database, deploy=True)
def restoring_has_ended(
    databases: Sequence[str] | None = None, **_facts: Any
) -> list[CheckMessage]:
    """No mail leaves before (`check --deploy --database default`)."""
    if not databases or not unsettled.is_unsettled():
        return []
    return [checks.Error(unsettled.BROKEN_OFF, id="notifications.E001")]


@register(Tags.database, deploy=True)
def worker_runs(databases: Sequence[str] | None = None, **_facts: Any) -> list[CheckMessage]:
    """Notices and mails need a worker and beat (`check --deploy --database default`)."""
    if not databases or Heartbeat._meta.db_table not in connection.introspection.table_names():
        return []
    at = database_now()
    overdue = health(at=at, started_at=datetime.min.replace(tzinfo=at.tzinfo)).overdue
    if not overdue:
        return []
    return [
        checks.Warning(
            f"No worker has done of late: {', '.join(overdue)}.",
            hint="Start celery -A config worker and celery -A config beat. "
            "Their logs say what fails.",
            id="notifications.W002",
        )
    ]
