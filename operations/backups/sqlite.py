"""Copies, reads back and puts back a database of SQLite."""

import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from urllib.parse import quote

from django.db import connection

from operations.backups.archive import INTERRUPTIONS, BackupError, name_of_former, reason_of

NAME = "database.sqlite3"
_BESIDE = ("-wal", "-shm")


def dump(target: Path) -> None:
    """Copy the database as it is at one moment, while others use it (the online backup of SQLite).
    Raises `BackupError`."""
    try:
        os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        connection.ensure_connection()
        with closing(sqlite3.connect(target)) as copy:
            connection.connection.backup(copy)
            copy.execute("PRAGMA journal_mode=DELETE")
        with target.open("rb+") as file:
            os.fsync(file.fileno())
    except (OSError, sqlite3.Error) as error:
        raise BackupError(f"Nothing was copied: {error}") from None


def read_back(path: Path) -> None:
    """Read every page and every row. Raises `BackupError`."""
    try:
        with closing(_read_only(path)) as copy:
            found = copy.execute("PRAGMA integrity_check(1)").fetchone()[0]
            broken = copy.execute("PRAGMA foreign_key_check").fetchone()
    except sqlite3.Error as error:
        raise BackupError(f"The copy can't be read back: {error}") from None
    if found != "ok" or broken:
        raise BackupError(f"The copy is not whole: {found if found != 'ok' else broken}")


def count(path: Path, tables: list[str]) -> dict[str, int]:
    with closing(_read_only(path)) as copy:
        return {
            table: copy.execute(f'SELECT count(*) FROM "{table}"').fetchone()[0]  # noqa: S608  # names of models
            for table in tables
        }


def _read_only(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"file:{quote(str(path))}?mode=ro", uri=True)


def who_uses_it() -> str:
    """Who has the database open, in words; empty if nobody has. Raises `BackupError` if it can't be
    asked."""
    path = _path()
    if not path.exists():
        return ""
    connection.close()
    try:
        with closing(sqlite3.connect(path, timeout=0.5, isolation_level=None)) as alone:
            # Only the one that is alone can leave the log behind.
            mode = alone.execute("PRAGMA journal_mode=DELETE").fetchone()[0]
            alone.execute("PRAGMA journal_mode=WAL")
    except sqlite3.OperationalError as error:
        if error.sqlite_errorcode & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            return "another process (stop web server, workers and beats)"
        raise BackupError(f"Nothing was restored: {error}. Is there room on the disk?") from None
    except sqlite3.DatabaseError:
        return ""  # what is there is no database
    return "" if mode == "delete" else "another process"


@contextmanager
def put_back(source: Path) -> Iterator[list[str]]:
    """Put the copy in the place of the database, which is kept beside it, once the block has done
    with the copy what has to be done. Until the last step, which is one renaming, everything is as
    it was. Yields remarks, which tell afterwards what was done, too. Raises `BackupError`."""
    path, remarks = _path(), list[str]()
    draft = path.with_name(f".{path.name}.restoring")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        connection.close()
        with _alone(path):
            _remove(draft)  # of a command that was killed
            shutil.copyfile(source, draft)
            draft.chmod(0o600)
            with _connected_to(draft):
                yield remarks
            _write_down(draft)
            if kept := _keep_former(path):
                remarks.append(f"The former database is kept in {kept}.")
            draft.replace(path)
    except (*INTERRUPTIONS, sqlite3.Error) as error:
        raise BackupError(f"Nothing was restored: {reason_of(error)}.") from error
    finally:
        with suppress(OSError):
            _remove(draft)


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Keep others out of the database that is there, if there is one. Raises `BackupError` if
    another process uses it."""
    if not path.exists():
        yield
        return
    with closing(sqlite3.connect(path, timeout=0.5, isolation_level=None)) as alone:
        try:
            alone.execute("PRAGMA journal_mode=DELETE")
            alone.execute("BEGIN EXCLUSIVE")
        except sqlite3.OperationalError as error:
            raise BackupError(f"another process uses the database ({error})") from None
        except sqlite3.DatabaseError:
            pass  # what is there is no database
        yield


@contextmanager
def _connected_to(path: Path) -> Iterator[None]:
    connection.close()
    former, connection.settings_dict["NAME"] = connection.settings_dict["NAME"], str(path)
    try:
        yield
    finally:
        connection.close()
        connection.settings_dict["NAME"] = former


def _write_down(path: Path) -> None:
    """Have all of it in the one file, and the file on the disk."""
    with closing(sqlite3.connect(path, isolation_level=None)) as copy:
        (mode,) = copy.execute("PRAGMA journal_mode=DELETE").fetchone()
    if mode != "delete":
        raise BackupError(f"the copy is in use ({mode})")
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def _remove(path: Path) -> None:
    path.unlink(missing_ok=True)
    _remove_beside(path)


def _remove_beside(path: Path) -> None:
    for each in _BESIDE:
        Path(f"{path}{each}").unlink(missing_ok=True)


def _keep_former(path: Path) -> Path | None:
    """Link the former database to another name. Its log was written into it (`who_uses_it`)."""
    _remove_beside(path)
    if not path.exists():
        return None
    kept = name_of_former(path)
    os.link(path, kept)
    return kept


def _path() -> Path:
    return Path(str(connection.settings_dict["NAME"]))
