"""Whether a backup was made is known to those who watch, and only that."""

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import DatabaseError
from django.test import Client

from notifications.jobs import database_now
from operations.backups.archive import BackupError
from operations.backups.making import Made
from operations.management.commands import backup
from tests.operations.test_metrics import own_counts, scrape, value

__all__ = ["own_counts"]

pytestmark = [pytest.mark.django_db, pytest.mark.both]
GAUGE = "permatoken_last_backup_timestamp_seconds"


def back_up(monkeypatch: pytest.MonkeyPatch, folder: Path, act: Callable[..., Any]) -> str:
    """What the command says on its standard error."""
    monkeypatch.setattr(backup, "back_up", act)
    said = io.StringIO()
    call_command("backup", "--to", str(folder), stdout=io.StringIO(), stderr=said)
    return said.getvalue()


def made(**_facts: Any) -> Made:
    return Made(Path("folder"), None, {"tokens": 1}, [], "")


def not_made(**_facts: Any) -> Made:
    raise BackupError("The disk is full.")


def last_of_status() -> str:
    out = io.StringIO()
    with pytest.raises(SystemExit):  # no worker runs
        call_command("status", stdout=out, stderr=io.StringIO())
    (line,) = [each for each in out.getvalue().splitlines() if each.startswith("Last backup")]
    return line.removeprefix("Last backup").strip()


def test_backup_that_was_made_is_told_everywhere(
    client: Client, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    assert last_of_status() == "never"
    before = database_now().timestamp()

    assert back_up(monkeypatch, tmp_path, made) == ""

    told = scrape(client)
    assert before - 1 <= value(told, GAUGE) <= database_now().timestamp()
    assert last_of_status() != "never"
    assert json.loads(client.get("/healthz").content)["last_backup_at"]


def test_backup_that_failed_or_never_was_is_none(
    client: Client, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with pytest.raises(CommandError, match="disk is full"):
        back_up(monkeypatch, tmp_path, not_made)

    assert f"\n{GAUGE} " not in scrape(client)
    assert last_of_status() == "never"


def test_backup_counts_though_the_database_cannot_record_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def read_only(**_facts: Any) -> None:
        raise DatabaseError("cannot execute UPDATE in a read-only transaction")

    monkeypatch.setattr(backup, "record_heartbeat", read_only)
    assert "did not record it" in back_up(monkeypatch, tmp_path, made)
