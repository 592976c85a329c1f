"""A backup on disk: a folder with the database and a manifest that says what it is.

It appears whole or not at all, is for its owner alone, and its files are known by their hashes.
"""

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from datetime import datetime
from itertools import chain, count
from pathlib import Path
from typing import IO, Any, NamedTuple

from django.core.management import CommandError
from django.db import DatabaseError

PREFIX = "permatoken-"
MANIFEST = "manifest.json"
FORMAT = 1
_STAMP = "%Y%m%dT%H%M%SZ"
_CHUNK = 1 << 20


class BackupError(Exception):
    """The backup cannot be made or used; the message says why and what to do."""


INTERRUPTIONS = (BackupError, CommandError, DatabaseError, OSError, KeyboardInterrupt)
"""What a command that is in the middle of its work may end by."""


def reason_of(error: BaseException) -> str:
    """In a line, without the full stop."""
    words = getattr(error, "strerror", None) or str(error).strip()
    return next(iter(words.splitlines()), type(error).__name__).rstrip(".")


class Manifest(NamedTuple):
    """What a backup is, and what it needs to be of use."""

    made_at: str
    version: str
    vendor: str
    server: str
    """The release of the database that it comes from."""
    migrations: list[str]
    counts: dict[str, int]
    """Rows of the tables that people would miss."""
    check_values: dict[str, str]
    """By which the peppers and the key are known again that it needs."""
    files: dict[str, str]
    """SHA-256 of each file."""
    is_encrypted: bool = False
    wrapped_key: str = ""
    """The key of the files, itself encrypted with a passphrase."""
    format: int = FORMAT


def name_for(at: datetime) -> str:
    return f"{PREFIX}{at:{_STAMP}}"


@contextlib.contextmanager
def new_folder(parent: Path, name: str) -> Iterator[Path]:
    """A folder to fill, which gets its name when the block is done, and is gone if it fails. One
    backup at a time; what another has left that was interrupted is swept away. Raises
    `BackupError`."""
    final, draft = parent / name, _draft(parent / name)
    with _alone(parent):
        if final.exists():
            raise BackupError(f"{final} is there already: nothing is written over.")
        for left in parent.glob(_draft(parent / f"{PREFIX}*").name):
            shutil.rmtree(left)
        draft.mkdir(mode=0o700)
        try:
            yield draft
            _sync(draft)
            draft.rename(final)
            _sync(parent)
        except BaseException:
            shutil.rmtree(draft, ignore_errors=True)
            raise


@contextlib.contextmanager
def _alone(parent: Path) -> Iterator[None]:
    """Nobody else makes or deletes a backup in this folder meanwhile. Raises `BackupError`."""
    try:
        parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = (parent / f".{PREFIX}lock").open("w")
    except OSError as error:
        raise BackupError(f"{parent} can't be written to: {error.strerror}.") from None
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise BackupError(f"Another backup into {parent} is running.") from None
        yield


def create(path: Path) -> IO[bytes]:
    """A new file for its owner alone. Raises `BackupError` if there is one."""
    try:
        return os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600), "w+b")
    except FileExistsError:
        raise BackupError(f"{path} is there already: nothing is written over.") from None


def write(path: Path, content: bytes) -> None:
    """Write a new file, to the disk itself."""
    with create(path) as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def hash_of(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while part := file.read(_CHUNK):
            digest.update(part)
    return digest.hexdigest()


def write_manifest(folder: Path, manifest: Manifest) -> None:
    write(folder / MANIFEST, json.dumps(manifest._asdict(), indent=1).encode())


def read_manifest(folder: Path) -> Manifest:
    """Raises `BackupError` for a folder that is no backup, or one of a format not known here."""
    try:
        told: dict[str, Any] = json.loads((folder / MANIFEST).read_text())
        if told.get("format") != FORMAT:
            raise BackupError(
                f"{folder} was made by a newer release: restore it with that, or a later one."
            )
        return Manifest(**told)
    except (OSError, ValueError, TypeError, AttributeError):
        raise BackupError(
            f"{folder} is no backup: it has no {MANIFEST} that can be read."
        ) from None


def require_whole(folder: Path, manifest: Manifest) -> None:
    """Read every file. Raises `BackupError` for one that is not what was written."""
    for name, known in manifest.files.items():
        try:
            found = hash_of(folder / name)
        except OSError as error:
            raise BackupError(f"{folder / name} can't be read: {error.strerror}.") from None
        if found != known:
            raise BackupError(f"{folder / name} is damaged: its content is not what was written.")


def backups_in(parent: Path) -> list[Path]:
    """The oldest first."""
    return sorted(each for each in parent.glob(f"{PREFIX}*Z") if (each / MANIFEST).is_file())


def secrets_of(name: str) -> str:
    """The name of the file that has the secrets of a backup."""
    return f"{name}-secrets.json"


def keep_newest(parent: Path, number: int, *, secrets_in: Path | None = None) -> list[Path]:
    """Delete all but so many, and the secrets of those that go, first: they are found by the
    backup. Returns those that went. What is broken off is swept away like a backup that was. Raises
    `BackupError` and `OSError`."""
    with _alone(parent):
        old = backups_in(parent)[:-number]
        for folder in old:
            for file in secrets_in.glob(f"{secrets_of(folder.name)}*") if secrets_in else []:
                file.unlink()
            shutil.rmtree(folder.rename(_draft(folder)))
    return old


def _draft(folder: Path) -> Path:
    """Its name as long as, or as soon as, it is no backup."""
    return folder.with_name(f".{folder.name}.part")


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def name_of_former(path: Path) -> Path:
    """A free name beside the file, for its former content. What was broken off is done again, and
    the first time has kept what was there before both."""
    first = path.with_name(f"{path.name}.before-restore")
    others = (first.with_name(f"{first.name}-{number}") for number in count(2))
    return next(each for each in chain([first], others) if not each.exists())
