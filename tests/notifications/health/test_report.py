"""A silent mailer is noticed: by /healthz, and by `manage.py status`."""

import io
import json
import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import time_machine
from django.conf import settings
from django.contrib.staticfiles.finders import FileSystemFinder
from django.core.checks import run_checks
from django.core.management import call_command
from django.db import connection
from django.test import Client
from django.utils import timezone
from pytest_django import Settings

from accounts.models import Membership
from apitokens.expiry import scan as expiry
from notifications.email import delivery
from notifications.health import report
from notifications.health.report import HELD_UP_AFTER
from notifications.jobs import MISSED_INTERVALS, record_heartbeat
from notifications.models import State
from tests.conftest import Issue, is_on_postgresql
from tests.disks import fill, mounted
from tests.mailserver import MailServer, Mood
from tests.notifications.conftest import MakeMail

pytestmark = pytest.mark.django_db

INTERVAL = timedelta(seconds=30)
LIMIT = MISSED_INTERVALS * INTERVAL
HOUSEKEEPING = settings.CELERY_BEAT_SCHEDULE.keys() - {"scan-expirations", "deliver-mails"}
SECOND, MINUTE = timedelta(seconds=1), timedelta(minutes=1)


@pytest.fixture(autouse=True)
def interval(settings: Settings) -> None:
    settings.NOTICES_EVERY_SECONDS = INTERVAL.total_seconds()


def works(at: datetime, *names: str) -> None:
    for name in names or (expiry.HEARTBEAT, delivery.HEARTBEAT, *HOUSEKEEPING):
        record_heartbeat(name=name, at=at)


def healthz(client: Client, at: datetime) -> tuple[int, dict[str, Any]]:
    with time_machine.travel(at, tick=False):
        answer = client.get("/healthz")
    return answer.status_code, answer.json()


@pytest.fixture
def old_process(now: datetime, monkeypatch: pytest.MonkeyPatch) -> None:
    """The portal has run for a day."""
    monkeypatch.setattr(report.health, "__kwdefaults__", {"started_at": now - timedelta(days=1)})


@pytest.mark.usefixtures("old_process")
def test_health_is_ok_up_to_three_missed_intervals(client: Client, now: datetime) -> None:
    works(now)
    assert healthz(client, now + LIMIT)[1]["status"] == "ok"
    code, told = healthz(client, now + LIMIT + SECOND)
    assert (code, told["status"]) == (503, "late")


@pytest.mark.usefixtures("old_process")
@pytest.mark.parametrize("name", [expiry.HEARTBEAT, delivery.HEARTBEAT])
def test_one_of_the_two_is_not_enough(client: Client, now: datetime, name: str) -> None:
    works(now - timedelta(hours=1))
    works(now, name)
    assert healthz(client, now)[0] == 503


@pytest.mark.usefixtures("old_process")
@pytest.mark.parametrize("name", sorted(HOUSEKEEPING))
def test_job_of_the_schedule_that_is_overdue_is_named(
    client: Client, now: datetime, name: str, settings: Settings
) -> None:
    long_ago = now - 3 * settings.CELERY_BEAT_SCHEDULE[name]["schedule"].run_every
    works(now)
    works(long_ago, name)
    started = {"started_at": long_ago}
    assert report.health(at=now, **started).overdue == []
    assert report.health(at=now + SECOND, **started).overdue == [name]
    told = healthz(client, now)[1]
    assert datetime.fromisoformat(told["jobs"][name]) <= long_ago


def test_status_says_which_jobs_are_overdue(now: datetime) -> None:
    works(now)
    works(now - timedelta(hours=4), "forget-uses")
    with time_machine.travel(now, tick=False):
        out, err, code = status()
    assert re.search(r"^  forget-uses +4 hours ago, overdue$", out, re.MULTILINE)
    assert ("Overdue: forget-uses." in err, code) == (True, 1)


@pytest.mark.usefixtures("old_process")
def test_portal_without_a_worker_is_late(client: Client, now: datetime) -> None:
    code, told = healthz(client, now)
    assert (code, told["last_scan_at"]) == (503, None)


def test_portal_that_has_just_started_is_not_late(
    client: Client, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the clock of the database (here: an hour ahead or behind), whatever its own clock says."""
    works(now - timedelta(days=3))
    for ahead in (-timedelta(hours=1), timedelta(hours=1)):
        monkeypatch.setattr(report, "uptime", lambda: LIMIT)
        assert healthz(client, now + ahead)[0] == 200
        monkeypatch.setattr(report, "uptime", lambda: LIMIT + SECOND)
        assert healthz(client, now + ahead)[0] == 503


def test_portal_has_run_for_a_moment_whatever_the_clock_says(now: datetime) -> None:
    with time_machine.travel(now - timedelta(days=400), tick=False):
        assert timedelta() <= report.uptime() < timedelta(days=1)


def test_health_tells_how_long_the_oldest_notice_has_been_due(
    client: Client, user: Membership, issue: Issue, now: datetime
) -> None:
    start = now - timedelta(days=30)
    issue(user, at=start, expires_at=now + timedelta(days=7) - timedelta(minutes=5))
    works(now)
    assert healthz(client, now)[1]["oldest_due_seconds"] == 300
    expiry.scan(at=now)
    assert healthz(client, now + 20 * SECOND)[1]["oldest_due_seconds"] == 20  # its mail waits
    with time_machine.travel(now + 30 * SECOND):
        delivery.deliver()
    assert healthz(client, now + 40 * SECOND)[1]["oldest_due_seconds"] == 0


# --- A mail server that takes nothing ---


def tries(at: datetime) -> None:
    """All background work is done as if it were then."""
    with time_machine.travel(at, tick=False):
        expiry.scan(at=at)
        delivery.deliver()
        works(at, *HOUSEKEEPING)


@pytest.mark.usefixtures("old_process")
def test_dead_mail_server_turns_health_red_within_a_quarter_of_an_hour(
    client: Client, server: MailServer, user: Membership, mail: MakeMail, now: datetime
) -> None:
    mail(user)
    server.close()
    for minutes in range(16):
        tries(now + minutes * MINUTE)
    assert healthz(client, now + HELD_UP_AFTER)[1]["status"] == "ok"
    code, told = healthz(client, now + HELD_UP_AFTER + SECOND)
    assert (code, told["status"]) == (503, "held up")
    assert datetime.fromisoformat(told["held_up_since"]) == now.replace(
        microsecond=now.microsecond // 1000 * 1000
    )


@pytest.mark.usefixtures("old_process")
def test_health_is_ok_again_as_soon_as_a_mail_has_left(
    client: Client, server: MailServer, user: Membership, mail: MakeMail, now: datetime
) -> None:
    mail(user)
    server.keeper.mood = Mood(body="451 Disk full")
    mail(user)
    tries(now)
    later = now + timedelta(hours=2)
    tries(later)
    assert healthz(client, later)[0] == 503
    server.keeper.mood = Mood()
    tries(later + timedelta(hours=2))
    assert healthz(client, later + timedelta(hours=2))[0] == 200


@pytest.mark.usefixtures("old_process")
def test_one_full_mailbox_does_not_turn_health_red(
    client: Client, server: MailServer, user: Membership, mail: MakeMail, now: datetime
) -> None:
    mail(user)
    server.keeper.moods_of[user.user.email] = Mood(rcpt="452 4.2.2 Mailbox full")
    for hours in range(5):
        tries(now + timedelta(hours=hours))
    assert healthz(client, now + timedelta(hours=4))[0] == 200


@pytest.mark.usefixtures("old_process")
def test_outage_of_long_ago_is_no_reason_for_alarm_when_a_new_mail_waits(
    client: Client, server: MailServer, user: Membership, mail: MakeMail, now: datetime
) -> None:
    waiting = mail(user)
    server.close()
    tries(now)
    waiting.delete()
    later = now + timedelta(days=4)
    tries(later)
    mail(user, created_at=later)
    assert healthz(client, later + 20 * SECOND)[0] == 200


def test_health_counts_mails_that_wait_are_held_or_were_given_up(
    client: Client, user: Membership, mail: MakeMail, now: datetime
) -> None:
    for state in (*State, State.HELD, State.SENT):
        mail(user, state=state)
    told = healthz(client, now)[1]
    assert (told["waiting"], told["held"], told["failed"]) == (3, 2, 1)


def test_health_tells_nothing_about_people(
    client: Client, user: Membership, mail: MakeMail, now: datetime
) -> None:
    mail(user, state=State.FAILED, reason=f"550 {user.user.email}")
    told = healthz(client, now)[1]
    assert user.user.email not in str(told)


def test_health_costs_three_queries_and_some_for_the_server_and_the_peppers(
    client: Client, django_assert_num_queries: Any, now: datetime
) -> None:
    works(now)
    with django_assert_num_queries(3 + 6 * is_on_postgresql() + 2):
        client.get("/healthz")


def test_full_disk_is_told(
    client: Client, now: datetime, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Of SQLite, whose file this machine has."""
    works(now)
    monkeypatch.setattr(report, "LEAST_FREE", 1 << 62)
    (tmp_path / "database").touch()
    assert report._has_room(tmp_path / "nowhere")
    assert not report._has_room(tmp_path / "database")

    monkeypatch.setattr(report, "takes_changes", lambda: False)
    code, told = healthz(client, now)
    assert (code, told["status"]) == (503, "read only")
    assert "Nothing can be changed" in status()[1]


@pytest.mark.django_db(transaction=True)
def test_full_disk_of_postgresql_is_told() -> None:
    """Before anybody wants to change something."""
    if not is_on_postgresql():
        pytest.skip("the file of SQLite has a test of its own")
    with (
        tempfile.TemporaryDirectory(prefix="permatoken-disk-") as folder,
        small_disk(folder) as disk,
    ):
        assert report.takes_changes()
        fill(disk, but=0)
        assert not report.takes_changes()
        (disk / "filler").unlink()
        assert report.takes_changes()


@contextmanager
def small_disk(folder: str) -> Iterator[Path]:
    """Where this connection puts what it may not keep in memory."""
    name = f"small_{os.getpid()}"
    Path(folder).chmod(0o755)
    with connection.cursor() as cursor, mounted(Path(folder, "disk")) as disk:
        cursor.execute("SHOW data_directory")
        of_server = Path(cursor.fetchone()[0]).stat()
        os.chown(disk, of_server.st_uid, of_server.st_gid)
        cursor.execute(f"CREATE TABLESPACE {name} LOCATION '{disk}'")
        cursor.execute(f"SET temp_tablespaces = {name}")
        try:
            yield disk
        finally:
            cursor.execute("RESET temp_tablespaces")
            cursor.execute(f"DROP TABLESPACE {name}")


def status() -> tuple[str, str, int]:
    out, err, code = io.StringIO(), io.StringIO(), 0
    try:
        call_command("status", stdout=out, stderr=err)
    except SystemExit as end:
        code = int(str(end.code))
    return out.getvalue(), err.getvalue(), code


def test_status_tells_a_person_the_same(user: Membership, mail: MakeMail, now: datetime) -> None:
    mail(user, state=State.HELD)
    mail(user, created_at=now - timedelta(hours=2))
    works(now - 20 * SECOND)
    with time_machine.travel(now, tick=False):
        out, err, code = status()
    assert (err, code) == ("", 0)
    lines = dict(line.rsplit("  ", 1) for line in out.splitlines() if "  " in line)
    told = {name.strip(): value for name, value in lines.items()}
    assert told["Last scan finished"] == "20 seconds ago"
    assert told["Oldest due notification"] == "pending for 2 hours"
    assert (told["Emails pending"], told["Emails on hold"]) == ("1", "1")


def test_status_tells_that_no_mail_leaves(
    server: MailServer, user: Membership, mail: MakeMail, now: datetime
) -> None:
    mail(user)
    server.close()
    tries(now)
    works(now + timedelta(hours=1))
    with time_machine.travel(now + timedelta(hours=1), tick=False):
        out, err, code = status()
    assert re.search(r"^No email sent +for 1 hour$", out, re.MULTILINE)
    assert "send_test_email" in err
    assert code == 1


def test_status_ends_with_1_where_no_worker_ever_ran() -> None:
    out, err, code = status()
    assert "never" in out
    assert "worker" in err
    assert code == 1


# --- What operators hear from `manage.py check --deploy --database default` ---


def warnings(code: str) -> list[str]:
    messages = run_checks(databases=["default"], include_deployment_checks=True)
    return [message.msg for message in messages if message.id == code]


def test_check_says_that_no_worker_runs(now: datetime) -> None:
    assert len(warnings("notifications.W002")) == 1
    works(timezone.now())
    assert not warnings("notifications.W002")


def test_check_says_that_no_mail_leaves(server: MailServer, settings: Settings) -> None:
    assert not warnings("notifications.W001")
    settings.EMAIL_BACKEND = "django.core.mail.backends.filebased.EmailBackend"
    assert "EMAIL_URL" in warnings("notifications.W001")[0]


def test_check_says_that_the_sender_cannot_be_one(server: MailServer, settings: Settings) -> None:
    settings.DEFAULT_FROM_EMAIL = "Permatoken <noreply@localhost>"
    assert "localhost" in warnings("notifications.W003")[0]
    settings.DEFAULT_FROM_EMAIL = "Permatoken <noreply@example.com>"
    assert not warnings("notifications.W003")


def test_check_says_that_static_files_are_not_collected(settings: Settings, tmp_path: Path) -> None:
    settings.STATIC_ROOT = tmp_path
    assert "not collected" in warnings("apitokens.W002")[0]
    paths = {path: path for path, _storage in FileSystemFinder().list([])}
    (tmp_path / "staticfiles.json").write_text(json.dumps({"paths": paths}))
    assert not warnings("apitokens.W002")
    (tmp_path / "staticfiles.json").write_text(json.dumps({"paths": dict(list(paths.items())[1:])}))
    assert len(warnings("apitokens.W002")) == 1
