"""Restores a backup: checks first, says what will be lost, and changes all or nothing."""

import json
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import NamedTuple

from django.conf import settings
from django.core.management import call_command
from django.db import DatabaseError, connection
from django.db.migrations.loader import MigrationLoader
from django.db.models import Count
from django.views.decorators.debug import sensitive_variables

from accounts.models import AuditEvent
from apitokens.models import APIToken
from notifications.models import Mail, State
from operations.backups import aftermath, archive, encryption, keys
from operations.backups.archive import BackupError, Manifest
from operations.backups.making import engine

MOST_NAMED = 20


class Losses(NamedTuple):
    """What the present database has that the backup has not."""

    events: int
    issued: int
    deleted: list[int]
    """Tokens that were deleted since: they would be in force again."""
    rotated: list[int]
    """Tokens that have a new secret since: it is lost, and the old one would be in force again."""
    sent: int
    by_kind: dict[str, int]
    """Events by what was done: what was taken from people and tokens would be theirs again."""

    @property
    def are_none(self) -> bool:
        return not (self.events or self.issued or self.deleted or self.rotated or self.sent)


class Restored(NamedTuple):
    held: int
    """Mails that are on hold until an operator decides."""
    remarks: list[str]


class Backup:
    """A backup that was found whole, with what opens it."""

    @sensitive_variables("passphrase", "identity")
    def __init__(self, folder: Path, *, passphrase: str = "", identity: str = "") -> None:
        self.folder, self.manifest = folder, archive.read_manifest(folder)
        archive.require_whole(folder, self.manifest)
        self._identities = (
            encryption.identities_for(
                wrapped_key=self.manifest.wrapped_key, passphrase=passphrase, identity=identity
            )
            if self.manifest.is_encrypted
            else []
        )

    @contextmanager
    def opened(self, path: Path, *, beside: Path) -> Iterator[Path]:
        """The file as it was before it was encrypted, in a folder of `beside` that goes again."""
        if path.suffix != encryption.SUFFIX:
            yield path
            return
        with tempfile.TemporaryDirectory(prefix=".restoring-", dir=beside) as folder:
            plain = Path(folder, path.stem)
            encryption.decrypt(path, plain, self._identities)
            yield plain

    @property
    def database(self) -> Path:
        (name,) = self.manifest.files
        return self.folder / name


def require_restorable(manifest: Manifest) -> None:
    """Raises `BackupError` if it is of another kind of database, or of newer code, or if the
    present one is in use."""
    if manifest.vendor != connection.vendor:
        raise BackupError(
            f"The backup is of {manifest.vendor}, and this database is {connection.vendor}: "
            "restore it where DATABASE_URL names one of its kind."
        )
    own = {f"{app}.{name}" for app, name in MigrationLoader(None).disk_migrations}
    if newer := sorted(set(manifest.migrations) - own):
        raise BackupError(
            f"The backup was made by release {manifest.version}, which is newer than this code "
            f"({newer[0]} is not known here): restore it with that release."
        )
    if users := engine().who_uses_it():
        raise BackupError(f"The database is in use by {users}. Stop them first.")


def losses(manifest: Manifest) -> Losses | None:
    """What is lost by restoring; None if the present database is empty or cannot be read."""
    since = datetime.fromisoformat(manifest.made_at)
    there_before = APIToken.objects.filter(created_at__lte=since).order_by("pk")
    events = AuditEvent.objects.filter(at__gt=since)
    try:
        return Losses(
            events=events.count(),
            by_kind=dict(events.values_list("kind").order_by("kind").annotate(Count("pk"))),
            issued=APIToken.objects.filter(created_at__gt=since).count(),
            deleted=list(there_before.filter(deleted_at__gt=since).values_list("pk", flat=True)),
            rotated=list(
                there_before.filter(deleted_at=None, rotated_at__gt=since).values_list(
                    "pk", flat=True
                )
            ),
            sent=Mail.objects.filter(state=State.SENT, sent_at__gt=since).count(),
        )
    except DatabaseError:
        return None
    finally:
        connection.close()


@sensitive_variables()
def restore(
    backup: Backup, *, at: datetime, secrets: Path | None = None, needs_secrets: bool = True
) -> Restored:
    """Put the backup in the place of the database, migrate it to this code, and hold its mails.

    Raises `BackupError` before anything is changed, with all as it was, or (PostgreSQL) with the
    backup in its place, and a mark that lets no mail leave. Tokens that were deleted since are in
    force again: the caller says so (`losses`).
    """
    manifest = backup.manifest
    require_restorable(manifest)
    data_dir = Path(settings.DATA_DIR)
    data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = _read_secrets(backup, secrets, data_dir) if secrets else None
    ring, secret_keys = found or _own_secrets()
    is_other = found is not None and found != _own_secrets()
    if is_other:
        keys.require_replaceable()
    if needs_secrets:
        keys.require_fitting(manifest.check_values, ring=ring, secret_keys=secret_keys)
    with backup.opened(backup.database, beside=data_dir) as plain:
        engine().read_back(plain)
        with engine().put_back(plain) as remarks:
            call_command("migrate", interactive=False, verbosity=0)
            held = aftermath.settle(at=at, made_at=manifest.made_at)
            if is_other:
                remarks += [f"Written: {path}." for path in keys.put_back(secret_keys[0], ring)]
    connection.close()
    return Restored(held, remarks)


def _ring(text: str) -> dict[int, bytes]:
    """The inverse of `keys.in_words`. Raises `ValueError`."""
    entries = (entry.split(":") for entry in text.split(","))
    return {int(number): bytes.fromhex(pepper) for number, pepper in entries}


def _own_secrets() -> tuple[dict[int, bytes], list[str]]:
    return settings.TOKEN_PEPPERS, [settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS]


@sensitive_variables()
def _read_secrets(backup: Backup, path: Path, data_dir: Path) -> tuple[dict[int, bytes], list[str]]:
    """Raises `BackupError`."""
    try:
        with backup.opened(path, beside=data_dir) as plain:
            told = json.loads(plain.read_text())
        ring = _ring(told["TOKEN_PEPPERS"])
        return ring, [told["SECRET_KEY"], *told["SECRET_KEY_FALLBACKS"]]
    except (OSError, ValueError, KeyError, TypeError):
        raise BackupError(f"{path} is no file of secrets that backup has made.") from None
