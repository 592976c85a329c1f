"""`manage.py migrate` waits for no lock so long that everybody queues behind it."""

import io
from collections.abc import Callable
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.core.management.commands import migrate as django_migrate
from django.db import OperationalError, connection, transaction

from upgrades.management.commands import migrate

LOCK = "LOCK TABLE accounts_account IN ACCESS EXCLUSIVE MODE"
"""What every ALTER TABLE begins with."""
pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """A migration that wants the table of accounts, and a short wait for it."""
    if connection.vendor != "postgresql":
        pytest.skip("SQLite has one lock, and one process that migrates")

    def lock(_command: object, *args: Any, **options: Any) -> None:
        with transaction.atomic(), connection.cursor() as cursor:
            cursor.execute(LOCK)

    monkeypatch.setattr(django_migrate.Command, "handle", lock)
    monkeypatch.setattr(migrate, "WAIT_FOR_LOCKS", "20ms")
    monkeypatch.setattr(migrate, "PAUSES", (1, 1))


def lock_timeout() -> str:
    with connection.cursor() as cursor:
        cursor.execute("SELECT current_setting('lock_timeout')")
        return str(cursor.fetchone()[0])


def run_beside_a_reader(monkeypatch: pytest.MonkeyPatch, *, leaves: bool) -> tuple[str, int]:
    """Migrate while another transaction has read the table; it ends in the first pause if it
    `leaves`. Returns what was said and how often was paused."""
    other, errors, pauses = connection.copy(), io.StringIO(), list[int]()
    end: Callable[[], None] = other.close if leaves else lambda: None

    def pause(seconds: int) -> None:
        pauses.append(seconds)
        end()

    monkeypatch.setattr(migrate, "sleep", pause)
    other.set_autocommit(False)
    try:
        with other.cursor() as cursor:
            cursor.execute("SELECT * FROM accounts_account")
        call_command("migrate", verbosity=0, stderr=errors)
    finally:
        other.close()
    return errors.getvalue(), len(pauses)


@pytest.mark.usefixtures("quick")
def test_migration_gives_way_and_tries_again(monkeypatch: pytest.MonkeyPatch) -> None:
    before = lock_timeout()
    said, pauses = run_beside_a_reader(monkeypatch, leaves=True)
    assert (pauses, "Others go first" in said) == (1, True)
    assert lock_timeout() == before


@pytest.mark.usefixtures("quick")
def test_migration_gives_up_with_a_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(CommandError, match="pg_stat_activity"):
        run_beside_a_reader(monkeypatch, leaves=False)


@pytest.mark.usefixtures("quick")
def test_other_faults_are_not_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_args: object, **_options: object) -> None:
        raise OperationalError("the disk is full")

    monkeypatch.setattr(django_migrate.Command, "handle", fail)
    with pytest.raises(OperationalError, match="the disk is full"):
        call_command("migrate", verbosity=0)


@pytest.mark.usefixtures("quick")
def test_migration_of_a_deadlock_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Another transaction wants what this one holds: one of them is told, and may try again."""
    tries = list[int]()

    class DeadlockDetected(Exception):
        sqlstate = "40P01"

    def lock(_command: object, *_args: Any, **_options: Any) -> None:
        tries.append(1)
        if len(tries) == 1:
            raise OperationalError("deadlock detected") from DeadlockDetected()

    monkeypatch.setattr(django_migrate.Command, "handle", lock)
    monkeypatch.setattr(migrate, "sleep", lambda _seconds: None)
    call_command("migrate", verbosity=0, stderr=io.StringIO())

    assert len(tries) == 2


@pytest.mark.usefixtures("quick")
def test_one_process_migrates_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three that start at once: the second looks at what is to be done after the first is done."""
    other, errors, happened = connection.copy(), io.StringIO(), list[str]()

    def ask(words: str) -> bool:
        with other.cursor() as cursor:
            cursor.execute(f"SELECT {words}({migrate.ONE_AT_A_TIME})")
            return bool(cursor.fetchone()[0])

    def pause(_seconds: int) -> None:
        happened.append("waits")
        ask("pg_advisory_unlock")

    def work(_command: object, *_args: Any, **_options: Any) -> None:
        happened.append("has it alone" if not ask("pg_try_advisory_lock") else "is not alone")

    monkeypatch.setattr(migrate, "sleep", pause)
    monkeypatch.setattr(django_migrate.Command, "handle", work)
    try:
        assert ask("pg_try_advisory_lock")
        call_command("migrate", verbosity=0, stderr=errors)
        assert ask("pg_try_advisory_lock")  # given back
    finally:
        other.close()

    assert happened == ["waits", "has it alone"]
    assert "Another process migrates this database" in errors.getvalue()
