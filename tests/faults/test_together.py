"""Several scans and senders at once, in real processes: each person is told once."""

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timedelta

import pytest
from pytest_django import Settings

from accounts.models import Membership
from apitokens.models import ExpiryNotice
from notifications.models import Mail, Notice, State
from tests.concurrency import shared_database_url
from tests.conftest import Issue
from tests.factories import MembershipFactory
from tests.faults.chaos import ROOT
from tests.mailserver import MailServer, mail_server

pytestmark = [pytest.mark.both, pytest.mark.django_db(transaction=True)]

PROCESSES = 4


@pytest.fixture
def server(settings: Settings) -> Iterator[MailServer]:
    with mail_server() as running:
        yield running


def test_four_processes_at_once_tell_everybody_once(
    server: MailServer, administrator: Membership, issue: Issue, now: datetime
) -> None:
    people = MembershipFactory.create_batch(20, account=administrator.account)
    start, end = now - timedelta(days=30), now + timedelta(hours=20)
    for person in people:
        issue(person, at=start, expires_at=end)
        issue(person, at=start, expires_at=end + timedelta(days=4))
    running = [_send_notices(server) for _process in range(PROCESSES)]
    for process in running:
        out, err = process.communicate(timeout=120)
        assert process.returncode == 0, (out, err)

    everybody = {each.user.email for each in (*people, administrator)}
    assert Counter(server.recipients) == Counter(everybody)
    assert set(Mail.objects.values_list("state", flat=True)) == {State.SENT}
    assert Notice.objects.count() == len(everybody)
    assert ExpiryNotice.objects.count() == 40 * 2 * len(everybody)  # all are Administrators


def _send_notices(server: MailServer) -> subprocess.Popen[str]:
    environment = {
        **os.environ,
        "DATABASE_URL": shared_database_url(),
        "EMAIL_URL": f"smtp://127.0.0.1:{server.port}",
    }
    return subprocess.Popen(
        [sys.executable, "manage.py", "send_expiry_notices"],
        cwd=ROOT,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
