"""`manage.py backup` makes a whole copy, or none and says why."""

import os
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from accounts.models import Account
from tests.conftest import is_on_postgresql
from tests.factories import AccountFactory
from tests.portal import ROOT

pytestmark = [pytest.mark.django_db(transaction=True)]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    if is_on_postgresql():
        pytest.skip("PostgreSQL has pg_dump")
    return tmp_path / "backup.sqlite3"


def run_beside(data_dir: Path, *words: str, **more: str) -> tuple[int, str]:
    """The exit code and the error of a command on other data."""
    settings = {"PATH": os.environ["PATH"], "DATA_DIR": str(data_dir), **more}
    done = subprocess.run(
        [sys.executable, "manage.py", *words],
        cwd=ROOT,
        env=settings,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    return done.returncode, done.stderr


def test_copy_has_every_row_and_is_for_its_owner_alone(file: Path) -> None:
    AccountFactory.create(name="Example Inc.")

    call_command("backup", str(file), verbosity=0)

    with closing(sqlite3.connect(file)) as copy:
        names = [name for (name,) in copy.execute("SELECT name FROM accounts_account")]
    assert names == list(Account.objects.values_list("name", flat=True))
    assert file.stat().st_mode & 0o777 == 0o600
    assert list(file.parent.glob(".*")) == []


def test_file_that_is_there_is_not_written_over(file: Path) -> None:
    file.write_text("the backup of yesterday")

    with pytest.raises(CommandError, match="is there already"):
        call_command("backup", str(file))

    assert file.read_text() == "the backup of yesterday"


def test_folder_that_is_not_there_is_told(file: Path) -> None:
    with pytest.raises(CommandError, match="Nothing was copied"):
        call_command("backup", str(file.parent / "none" / file.name))


def test_other_folder_than_the_portals_is_told_and_nothing_is_copied(file: Path) -> None:
    """DATA_DIR was set for the portal, and is not for these."""
    empty = file.parent / "var"

    code, said = run_beside(empty, "backup", str(file))
    assert not empty.exists()  # no secrets, no empty database
    asked, answered = run_beside(empty, "create_operator", "ops@example.com", "--password-stdin")

    assert (code, "nothing was copied. Set DATA_DIR" in said) == (1, True)
    assert not file.exists()
    assert asked == 1
    assert "The database has no tables yet" in answered
    assert "Traceback" not in answered


def test_database_of_another_address_is_not_made(file: Path) -> None:
    database = file.parent / "elsewhere.sqlite3"

    code, said = run_beside(
        file.parent / "var", "backup", str(file), DATABASE_URL=f"sqlite:///{database}"
    )

    assert (code, "nothing was copied" in said) == (1, True)
    assert not database.exists()


def test_command_outside_of_the_environment_says_where_it_is() -> None:
    done = subprocess.run(  # -S: without installed packages
        [sys.executable, "-S", "manage.py", "status"], cwd=ROOT, capture_output=True, text=True
    )

    assert (done.returncode, ".venv/bin/python manage.py" in done.stderr) == (1, True)
    assert "Traceback" not in done.stderr


def test_postgresql_is_left_to_its_own_tool(tmp_path: Path) -> None:
    if not is_on_postgresql():
        pytest.skip("is about PostgreSQL")
    with pytest.raises(CommandError, match="pg_dump"):
        call_command("backup", str(tmp_path / "backup"))
