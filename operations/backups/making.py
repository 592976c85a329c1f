"""Makes a backup, and reads it back before it counts."""

from datetime import datetime
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

from django.db import connection
from django.db.migrations.recorder import MigrationRecorder

from accounts.models import Account, AuditEvent, User
from apitokens.models import APIToken, ExpiryNotice
from notifications.email import unsettled
from notifications.models import Mail
from operations.backups import archive, keys, postgresql, sqlite
from operations.backups.archive import BackupError, Manifest
from operations.backups.encryption import SUFFIX, Lock, encrypt, encrypted
from telemetry import VERSION

COUNTED = (Account, User, APIToken, AuditEvent, ExpiryNotice, Mail)
"""What people would miss first."""


class Made(NamedTuple):
    folder: Path
    secrets: Path | None
    counts: dict[str, int]
    deleted: list[Path]
    """Older backups that went."""
    left_over: str
    """Why older ones that were to go are still there; "" if they are not."""


def engine() -> ModuleType:
    """How this kind of database is copied."""
    return sqlite if connection.vendor == "sqlite" else postgresql


def back_up(
    *,
    into: Path,
    at: datetime,
    lock: Lock | None = None,
    secrets_into: Path | None = None,
    keep: int | None = None,
) -> Made:
    """Back the database up into a new folder of `into`, and its secrets, if wanted, into a file of
    `secrets_into`. Raises `BackupError`; then there is no such folder."""
    if unsettled.is_unsettled():
        raise BackupError(f"Nothing was copied. {unsettled.BROKEN_OFF}")
    name = archive.name_for(at)
    if secrets_into is not None and lock is None and _is_within(secrets_into, into):
        raise BackupError(
            "Keep the secrets apart from the database: a thief of both has everything. Choose "
            "another folder for --secrets-to, or encrypt."
        )
    with archive.new_folder(into, name) as folder:
        counts = _fill(folder, at, lock)
        secrets = _write_secrets(secrets_into, name, lock) if secrets_into else None
    deleted, left_over = list[Path](), ""
    try:
        deleted = archive.keep_newest(into, keep, secrets_in=secrets_into) if keep else []
    except (OSError, BackupError) as error:  # there is a backup all the same
        left_over = str(error)
    return Made(into / name, secrets, counts, deleted, left_over)


def migrations() -> list[str]:
    applied = MigrationRecorder(connection).applied_migrations()
    return sorted(f"{app}.{name}" for app, name in applied)


def _fill(folder: Path, at: datetime, lock: Lock | None) -> dict[str, int]:
    copy = folder / engine().NAME
    tables = [model._meta.db_table for model in COUNTED]
    before = keys.known_check_values()
    engine().dump(copy)
    engine().read_back(copy)
    is_file = connection.vendor == "sqlite"
    counts = sqlite.count(copy, tables) if is_file else postgresql.count(tables)
    if lock is not None:
        copy = encrypt(copy, lock)
    manifest = Manifest(
        made_at=at.isoformat(),
        version=VERSION,
        vendor=connection.vendor,
        server="" if is_file else postgresql.server(),
        migrations=migrations(),
        counts=counts,
        check_values=before,
        files={copy.name: archive.hash_of(copy)},
        is_encrypted=lock is not None,
        wrapped_key=lock.wrapped_key if lock else "",
    )
    archive.write_manifest(folder, manifest)
    archive.require_whole(folder, archive.read_manifest(folder))
    return counts


def _write_secrets(folder: Path, name: str, lock: Lock | None) -> Path:
    """Raises `BackupError`."""
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = folder / archive.secrets_of(name)
        if lock is None:
            archive.write(path, keys.as_json())
        else:  # they are never on the disk in clear
            path = path.with_name(path.name + SUFFIX)
            archive.write(path, encrypted(keys.as_json(), lock))
    except OSError as error:
        raise BackupError(f"The secrets can't be written to {folder}: {error.strerror}.") from None
    return path


def _is_within(inner: Path, outer: Path) -> bool:
    return inner.resolve().is_relative_to(outer.resolve())
