"""What is killed, or comes upon a full disk, leaves nothing half-made that counts."""

import base64
import os
import re
import shutil
import signal
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import datetime, timedelta
from pathlib import Path

import pyrage
import pytest

from operations.backups import archive, encryption, making
from operations.backups.archive import BackupError
from operations.backups.encryption import lock_for
from tests.disks import fill, mounted
from tests.operations.backups.test_there_and_back import Place, place
from tests.portal import DATABASE, EMPTY, ROOT, prepared

MIB = 1 << 20
FULL = re.compile(r"Nothing was restored: (No space left on device|.* Is there room on the disk)")
WITHIN = 60
"""Seconds, for a command to start."""


@pytest.fixture
def portal(tmp_path: Path) -> Place:
    """Its copy takes a moment."""
    here = place(tmp_path / "data")
    here.data_dir.mkdir()
    shutil.copy(prepared() / EMPTY, here.data_dir / DATABASE)
    with closing(sqlite3.connect(here.data_dir / DATABASE)) as database, database:
        database.execute("CREATE TABLE ballast AS SELECT zeroblob(48 << 20)")
    return here


def kill_in_the_middle(portal: Place, *words: str, to: Path) -> None:
    """As soon as the copy is begun."""
    command = [str(ROOT / "deploy" / "permatoken"), "manage", "backup", "--to", str(to), *words]
    with subprocess.Popen(
        command, cwd=ROOT, env=portal.environment, stdout=subprocess.PIPE, start_new_session=True
    ) as running:
        deadline = time.monotonic() + WITHIN
        while not list(to.glob(".*.part/database.*")) and time.monotonic() < deadline:
            assert running.poll() is None
            time.sleep(0.001)
        os.killpg(running.pid, signal.SIGKILL)
    assert running.returncode == -signal.SIGKILL


def test_backup_that_was_killed_is_none_and_the_next_one_sweeps_it_away(
    portal: Place, tmp_path: Path
) -> None:
    to = tmp_path / "backups"
    code, said = portal.manage("backup", "--to", str(to))
    assert code == 0, said
    (first,) = archive.backups_in(to)

    kill_in_the_middle(portal, "--keep", "2", to=to)
    assert archive.backups_in(to) == [first]
    assert len(list(to.glob(".*.part"))) == 1

    code, said = portal.manage("backup", "--to", str(to), "--keep", "2")
    assert code == 0, said
    kept = archive.backups_in(to)
    assert (len(kept), kept[0]) == (2, first)
    assert {each.name for each in to.iterdir()} == {
        *(each.name for each in kept),
        ".permatoken-lock",
    }
    for each in kept:
        archive.require_whole(each, archive.read_manifest(each))


@pytest.mark.django_db(transaction=True)
def test_backup_that_is_half_deleted_is_none_and_the_next_one_sweeps_it_away(
    tmp_path: Path, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    for hours in range(2):
        done = making.back_up(into=tmp_path, at=now + timedelta(hours=hours))

    def stop(folder: Path) -> None:
        (Path(folder) / archive.MANIFEST).unlink()
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(shutil, "rmtree", stop)
        with pytest.raises(KeyboardInterrupt):
            archive.keep_newest(tmp_path, 1)
    assert [each.name for each in tmp_path.glob("permatoken-*")] == [done.folder.name]

    done = making.back_up(into=tmp_path, at=now + timedelta(hours=2), keep=1)
    assert {each.name for each in tmp_path.iterdir()} == {done.folder.name, ".permatoken-lock"}


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("passphrase", ["", "correct horse battery"])
def test_secrets_go_with_the_backup_that_they_belong_to(
    passphrase: str, tmp_path: Path, now: datetime
) -> None:
    to, apart = tmp_path / "backups", tmp_path / "safe"
    apart.mkdir()
    of_another = apart / "permatoken-20200101T000000Z-secrets.json"
    of_another.touch()
    lock = lock_for(passphrase=passphrase)

    for hours in range(3):
        at = now + timedelta(hours=hours)
        making.back_up(into=to, at=at, lock=lock, secrets_into=apart, keep=2)

    ending = "-secrets.json" + (".age" if lock else "")
    assert {each.name for each in apart.iterdir()} == {
        of_another.name,
        *(f"{each.name}{ending}" for each in archive.backups_in(to)),
    }


@pytest.mark.django_db(transaction=True)
def test_backup_counts_where_an_older_one_cannot_go(tmp_path: Path, now: datetime) -> None:
    to, apart = tmp_path / "backups", tmp_path / "safe"
    first = making.back_up(into=to, at=now, secrets_into=apart, keep=1)
    in_the_way = apart / f"{archive.secrets_of(first.folder.name)}.kept"
    in_the_way.mkdir()

    second = making.back_up(into=to, at=now + timedelta(hours=1), secrets_into=apart, keep=1)

    assert archive.backups_in(to) == [first.folder, second.folder]
    assert in_the_way.name in second.left_over


@pytest.mark.django_db(transaction=True)
def test_secrets_that_are_encrypted_are_never_written_in_clear(
    tmp_path: Path, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A kill would leave them so."""
    written: list[bytes] = []
    write = archive.write

    def note(path: Path, content: bytes) -> None:
        written.append(content)
        write(path, content)

    monkeypatch.setattr(archive, "write", note)
    lock = lock_for(passphrase="correct horse battery")
    done = making.back_up(into=tmp_path, at=now, lock=lock, secrets_into=tmp_path)
    assert done.secrets is not None
    assert not [each for each in written if b"TOKEN_PEPPERS" in each]


@pytest.mark.parametrize("busy_for", [0, 3, encryption.TRIES])
def test_passphrase_opens_on_a_machine_that_was_busy_for_a_moment(
    busy_for: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """age measures a machine that is busy as one that is too slow, and says so of each try."""
    lock = lock_for(passphrase="correct horse battery")
    assert lock is not None
    decrypt, left = pyrage.passphrase.decrypt, [busy_for]

    def decrypt_when_there_is_time(wrapped: bytes, passphrase: str) -> bytes:
        if left[0]:
            left[0] -= 1
            raise pyrage.DecryptError("Excessive work parameter for passphrase.\nIt would take…")
        opened: bytes = decrypt(wrapped, passphrase)
        return opened

    monkeypatch.setattr(pyrage.passphrase, "decrypt", decrypt_when_there_is_time)
    monkeypatch.setattr(encryption, "PAUSE", 0)
    given = {"wrapped_key": lock.wrapped_key, "passphrase": "correct horse battery"}
    if busy_for < encryption.TRIES:
        assert encryption.identities_for(**given)
    else:
        with pytest.raises(BackupError, match="when this one has less to do"):
            encryption.identities_for(**given)


def test_passphrase_that_costs_too_much_here_is_not_called_wrong(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(encryption, "PAUSE", 0)
    lock = lock_for(passphrase="correct horse battery")
    assert lock is not None
    wrapped = base64.b64decode(lock.wrapped_key)
    of_a_giant = re.sub(rb"(-> scrypt \S+) \d+", rb"\1 40", wrapped)
    with pytest.raises(BackupError, match="a machine that is much faster"):
        encryption.identities_for(
            wrapped_key=base64.b64encode(of_a_giant).decode(), passphrase="correct horse battery"
        )


def test_wrong_passphrase_is_told_at_once() -> None:
    lock = lock_for(passphrase="correct horse battery")
    assert lock is not None
    with pytest.raises(BackupError, match="The passphrase or the identity is wrong"):
        encryption.identities_for(wrapped_key=lock.wrapped_key, passphrase="wrong horse battery")


# --- Restoring on a disk that is full ------------------------------------------------------------


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    with mounted(tmp_path / "disk") as disk:
        yield disk


@pytest.mark.parametrize("encrypts", [False, True])
@pytest.mark.parametrize("room", [0, MIB // 4])
def test_full_disk_leaves_the_database_as_it_was(
    small_disk: Path, tmp_path: Path, room: int, encrypts: bool
) -> None:
    portal = place(small_disk)
    shutil.copy(prepared() / EMPTY, small_disk / DATABASE)
    (tmp_path / "passphrase").write_text("correct horse battery")
    words = ["--passphrase-file", str(tmp_path / "passphrase")] if encrypts else []
    code, said = portal.manage("backup", "--to", str(tmp_path / "backups"), *words)
    assert code == 0, said
    (backup,) = archive.backups_in(tmp_path / "backups")
    with closing(sqlite3.connect(small_disk / DATABASE)) as database, database:
        database.execute("CREATE TABLE later AS SELECT 'present' AS value")
    before = {each.name for each in small_disk.iterdir()}
    fill(small_disk, but=room)

    code, said = portal.manage("restore", str(backup), *words, "--yes")

    assert (code, bool(FULL.search(said))) == (1, True), said
    (small_disk / "filler").unlink()
    of_sqlite = {f"{DATABASE}-wal", f"{DATABASE}-shm"}
    assert {each.name for each in small_disk.iterdir()} - of_sqlite == before
    with closing(sqlite3.connect(small_disk / DATABASE)) as database:
        assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert database.execute("SELECT value FROM later").fetchall() == [("present",)]
    code, said = portal.manage("restore", str(backup), *words, "--yes")
    assert code == 0, said
