"""Backups that are not made, not used, or not put back, and why."""

import io
import json
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pyrage
import pytest
from django.core.management import CommandError, call_command
from django.db import OperationalError, connection
from pytest_django import Settings

from accounts.authorization.actor import Actor
from accounts.models import Membership
from apitokens.tokens import rotation
from operations.backups import aftermath, archive, keys, making, postgresql, restoring, sqlite
from operations.backups.archive import MANIFEST, BackupError
from operations.backups.restoring import Backup
from tests.conftest import Issue, is_on_postgresql
from tests.portal import ROOT

pytestmark = [pytest.mark.django_db(transaction=True)]


@pytest.fixture
def unused_database(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is restored is a file of SQLite that nobody has open: threads of earlier tests, which
    wait for work, have that of the tests open."""
    if is_on_postgresql():
        return
    own = tmp_path_factory.mktemp("unused") / "permatoken.sqlite3"
    connection.ensure_connection()
    with closing(sqlite3.connect(own)) as copy:
        connection.connection.backup(copy)
    monkeypatch.setattr(sqlite, "_path", lambda: own)


def run(*words: str) -> str:
    out = io.StringIO()
    call_command(*words, stdout=out)
    return out.getvalue()


def made(folder: Path) -> Path:
    run("backup", "--to", str(folder))
    return archive.backups_in(folder)[-1]


def edit(backup: Path, **facts: object) -> None:
    file = backup / MANIFEST
    file.write_text(json.dumps({**json.loads(file.read_text()), **facts}))


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


# --- Making --------------------------------------------------------------------------------------


def test_backup_is_whole_and_for_its_owner_alone(tmp_path: Path, administrator: Membership) -> None:
    said = run("backup", "--to", str(tmp_path / "new" / "backups"))

    (backup,) = archive.backups_in(tmp_path / "new" / "backups")
    manifest = archive.read_manifest(backup)
    archive.require_whole(backup, manifest)
    assert f"Backed up to {backup}, and read back" in said
    assert "Peppers and SECRET_KEY are not in it" in said
    assert manifest.counts["accounts_user"] == 1
    assert {file.stat().st_mode & 0o077 for file in (backup, *backup.iterdir())} == {0}


def test_backup_of_the_same_second_is_not_written_over(tmp_path: Path, now: datetime) -> None:
    making.back_up(into=tmp_path, at=now)
    with pytest.raises(BackupError, match="is there already"):
        making.back_up(into=tmp_path, at=now)
    assert len(archive.backups_in(tmp_path)) == 1


def test_so_many_are_kept(tmp_path: Path, now: datetime) -> None:
    (tmp_path / "holiday.jpg").touch()
    for hours in range(4):
        done = making.back_up(into=tmp_path, at=now + timedelta(hours=hours), keep=2)
    assert len(archive.backups_in(tmp_path)) == 2
    assert [each.name for each in done.deleted] == [archive.name_for(now + timedelta(hours=1))]
    assert (tmp_path / "holiday.jpg").exists()


def test_backup_that_fails_leaves_nothing(
    tmp_path: Path, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A disk that is full, say; or a copy that is not whole."""

    def fail(_path: Path) -> None:
        raise BackupError("The copy is not whole.")

    monkeypatch.setattr(making.engine(), "read_back", fail)
    with pytest.raises(BackupError):
        making.back_up(into=tmp_path, at=now)
    assert [each.name for each in tmp_path.iterdir()] == [f".{archive.PREFIX}lock"]


def test_what_an_interrupted_one_left_is_swept_away(tmp_path: Path, now: datetime) -> None:
    (tmp_path / f".{archive.PREFIX}20200101T000000Z.part").mkdir()
    making.back_up(into=tmp_path, at=now)
    assert not list(tmp_path.glob("*.part"))


def test_secrets_are_not_written_beside_the_database_in_clear(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="apart from the database"):
        run("backup", "--to", str(tmp_path), "--secrets-to", str(tmp_path / "secrets"))
    assert not archive.backups_in(tmp_path)


def test_backup_for_a_recipient_of_age_is_opened_by_its_identity_alone(tmp_path: Path) -> None:
    identity, other = pyrage.x25519.Identity.generate(), pyrage.x25519.Identity.generate()
    recipient = str(identity.to_public())
    run(
        "backup", "--to", str(tmp_path), "--secrets-to", str(tmp_path), "--age-recipient", recipient
    )
    (backup,) = archive.backups_in(tmp_path)
    (secrets,) = tmp_path.glob("*-secrets.json.age")
    assert b"TOKEN_PEPPERS" in pyrage.decrypt(secrets.read_bytes(), [identity])

    with pytest.raises(BackupError, match="name the file of an identity"):
        Backup(backup)
    opened = Backup(backup, identity=f"# made today\n{identity}\n")
    with opened.opened(opened.database, beside=tmp_path) as plain:
        making.engine().read_back(plain)
    wrong = Backup(backup, identity=str(other))
    with (
        pytest.raises(BackupError, match="can't be opened"),
        wrong.opened(wrong.database, beside=tmp_path),
    ):
        pass


def test_folder_of_another_portal_makes_no_secrets(tmp_path: Path) -> None:
    """DATA_DIR was set for the portal, and is not for these."""
    code, said = run_beside(tmp_path / "var", "backup", "--to", str(tmp_path / "to"))

    assert (code, "nothing was copied. Set DATA_DIR" in said) == (1, True)
    assert not (tmp_path / "var").exists()
    url = f"sqlite:///{tmp_path / 'elsewhere.sqlite3'}"
    code, said = run_beside(
        tmp_path / "var", "backup", "--to", str(tmp_path / "to"), DATABASE_URL=url
    )
    assert (code, "nothing was copied" in said) == (1, True)
    assert not (tmp_path / "elsewhere.sqlite3").exists()


def test_command_outside_of_the_environment_says_where_it_is() -> None:
    done = subprocess.run(  # -S: without installed packages
        [sys.executable, "-S", "manage.py", "status"], cwd=ROOT, capture_output=True, text=True
    )

    assert (done.returncode, ".venv/bin/python manage.py" in done.stderr) == (1, True)
    assert "Traceback" not in done.stderr


def test_programs_that_are_missing_or_older_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not is_on_postgresql():
        pytest.skip("SQLite needs none")
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(CommandError, match="pg_dump is not on the PATH"):
        run("backup", "--to", str(tmp_path / "to"))
    old = tmp_path / "pg_dump"
    old.write_text("#!/bin/sh\necho 'pg_dump (PostgreSQL) 9.6'")
    old.chmod(0o700)
    with pytest.raises(CommandError, match="is of release 9"):
        run("backup", "--to", str(tmp_path / "to"))


# --- Using ---------------------------------------------------------------------------------------


def test_damaged_backup_is_refused(tmp_path: Path) -> None:
    backup = made(tmp_path)
    (file,) = backup.glob("database.*")
    with file.open("r+b") as opened:
        opened.seek(100)
        opened.write(b"\0\1\2\3")
    with pytest.raises(CommandError, match="is damaged"):
        run("restore", str(backup), "--yes")


def test_folder_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CommandError, match="is no backup"):
        run("restore", str(tmp_path), "--yes")


@pytest.mark.usefixtures("unused_database")
@pytest.mark.parametrize(
    ("facts", "why"),
    [
        ({"format": 2}, "newer release"),
        ({"vendor": "oracle"}, "is of oracle"),
        ({"migrations": ["accounts.9999_later"], "version": "7.0.0"}, "accounts.9999_later"),
        ({"check_values": {"1": "00" * 32}}, "Pepper 1 of the backup"),
        ({"check_values": {"0": "00" * 32}}, "SECRET_KEY is not the one"),
    ],
)
def test_backup_that_does_not_fit_is_refused(
    facts: dict[str, object], why: str, tmp_path: Path
) -> None:
    backup = made(tmp_path)
    edit(backup, **facts)
    with pytest.raises(CommandError, match=why):
        run("restore", str(backup), "--yes")


@pytest.fixture
def somebody_else() -> Iterator[None]:
    """Another process has the database open."""
    if is_on_postgresql():
        url = os.environ["TEST_DATABASE_URL"]
        facts = connection.settings_dict
        with psycopg.connect(url, dbname=facts["NAME"], application_name="a worker"):
            yield
        return
    with closing(sqlite3.connect(connection.settings_dict["NAME"])) as other:
        other.execute("SELECT count(*) FROM sqlite_master").fetchone()
        yield


def test_database_in_use_is_not_restored(tmp_path: Path, somebody_else: None) -> None:
    backup = made(tmp_path)
    who = "1 × a worker" if is_on_postgresql() else "another process"
    with pytest.raises(CommandError, match=f"in use by {who}"):
        run("restore", str(backup), "--yes")


@pytest.mark.usefixtures("unused_database")
def test_what_is_lost_is_told_and_a_refusal_changes_nothing(
    tmp_path: Path,
    administrator: Membership,
    issue: Issue,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    token = issue(administrator, at=datetime.now(UTC) - timedelta(hours=1)).token
    rotated = issue(administrator, at=datetime.now(UTC) - timedelta(hours=1)).token
    backup = made(tmp_path)
    later = datetime.now(UTC) + timedelta(seconds=1)
    issue(administrator, at=later)
    rotation.rotate(token=rotated, by=Actor.member(administrator), at=later)
    type(token).objects.filter(pk=token.pk).update(deleted_at=datetime.now(UTC))

    lost = restoring.losses(archive.read_manifest(backup))

    assert lost is not None
    assert (lost.issued, lost.deleted, lost.are_none) == (1, [token.pk], False)
    assert lost.rotated == [rotated.pk]
    assert lost.by_kind["token.rotated"] == 1
    assert sum(lost.by_kind.values()) == lost.events
    monkeypatch.setattr("builtins.input", lambda _words: "yes")
    with pytest.raises(CommandError, match=r"Nothing was restored\."):
        run("restore", str(backup))
    assert type(token).objects.count() == 3


def test_full_disk_while_restoring_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if is_on_postgresql():
        pytest.skip("PostgreSQL restores in a transaction")
    path = tmp_path / "permatoken.sqlite3"
    path.write_text("the present one")
    monkeypatch.setattr(sqlite, "_path", lambda: path)

    def full(_source: Path, target: Path) -> None:
        Path(target).write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(shutil, "copyfile", full)
    full_disk = pytest.raises(BackupError, match=r"Nothing was restored: No space left on device\.")
    with full_disk, sqlite.put_back(tmp_path / "copy"):
        pass
    assert [each.read_text() for each in tmp_path.iterdir()] == ["the present one"]


def test_restoring_again_keeps_what_was_there_before_the_first_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if is_on_postgresql():
        pytest.skip("PostgreSQL restores in a transaction")
    path, copy = tmp_path / "data" / "permatoken.sqlite3", tmp_path / "copy"
    path.parent.mkdir()
    path.write_text("the only one")
    copy.touch()
    monkeypatch.setattr(sqlite, "_path", lambda: path)

    kept = list[str]()
    for _time in range(3):
        with sqlite.put_back(copy) as remarks:
            pass
        kept += remarks

    assert [said.rpartition("/")[2] for said in kept] == [
        "permatoken.sqlite3.before-restore.",
        "permatoken.sqlite3.before-restore-2.",
        "permatoken.sqlite3.before-restore-3.",
    ]
    assert path.with_name(f"{path.name}.before-restore").read_text() == "the only one"


def test_secrets_that_are_restored_again_keep_those_before_the_first_time(
    tmp_path: Path, settings: Settings
) -> None:
    settings.SECRET_KEY_MADE_IN = tmp_path / "secret_key"
    settings.TOKEN_PEPPERS_MADE_IN = tmp_path / "token_peppers"
    (tmp_path / "secret_key").write_text("the only one")

    for _time in range(2):
        keys.put_back("of the backup", {1: bytes(32)})

    assert (tmp_path / "secret_key.before-restore").read_text() == "the only one"


@pytest.mark.usefixtures("unused_database")
@pytest.mark.parametrize(
    ("what", "error"),
    [
        ("call_command", CommandError("Others hold a table.\nSecond line")),
        ("call_command", KeyboardInterrupt()),
        ("settle", OperationalError("disk full")),
    ],
)
def test_who_restores_is_told_what_was_broken_off(
    what: str, error: BaseException, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mails of the backup are not on hold yet: they would be sent a second time."""

    def fail(*_words: object, **_facts: object) -> None:
        raise error

    backup = made(tmp_path)
    monkeypatch.setattr(postgresql, "_restore", lambda _path: None)
    monkeypatch.setattr(restoring, "call_command", lambda *_words, **_facts: None)
    monkeypatch.setattr(aftermath if what == "settle" else restoring, what, fail)

    with pytest.raises(CommandError) as told:
        run("restore", str(backup), "--yes")

    reason = str(error).partition(".")[0] or "KeyboardInterrupt"
    assert str(told.value) == (
        f"The backup is in the place of the database, and what has to follow was broken off "
        f"({reason}). No email leaves until then. Mend that, and restore again."
        if is_on_postgresql()
        else f"Nothing was restored: {reason}."
    )


def test_half_of_a_script_is_not_left_on_a_full_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not is_on_postgresql():
        pytest.skip("SQLite needs none")
    full = tmp_path / "pg_restore"
    full.write_text(
        "#!/bin/sh\ncase $1 in --version) echo pg_restore 99.1; exit;; esac\n"
        'for each; do case $each in --file=*) echo half > "${each#--file=}";; esac; done\n'
        "echo No space left on device >&2; exit 1\n"
    )
    full.chmod(0o700)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    (tmp_path / "database.dump").touch()

    with pytest.raises(BackupError, match=r"Nothing was restored: No space left on device"):
        postgresql._restore(tmp_path / "database.dump")

    assert sorted(each.name for each in tmp_path.iterdir()) == ["database.dump", "pg_restore"]
