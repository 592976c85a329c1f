"""Restores a backup: checks first, says what will be lost, and changes all or nothing."""

import json
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

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
from operations.backups.archive import BackupError, Manifest, reason_of
from operations.backups.making import engine

MOST_NAMED = 20


class Losses(NamedTuple):
    """What the present database has that the backup has not."""

    issued: int = 0
    deleted: Sequence[int] = ()
    """Tokens that were deleted since: they would be in force again."""
    rotated: Sequence[int] = ()
    """Tokens that have a new secret since: it is lost, and the old one would be in force again."""
    sent: int = 0
    by_kind: Mapping[str, int] = MappingProxyType({})
    """Events by what was done: what was taken from people and tokens would be theirs again."""
    is_all_read: bool = True
    """False: this release cannot read some of the present database, which is of another one."""

    @property
    def events(self) -> int:
        return sum(self.by_kind.values())

    @property
    def are_none(self) -> bool:
        known = self.events or self.issued or self.deleted or self.rotated or self.sent
        return self.is_all_read and not known


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
    events = AuditEvent.objects.filter(at__gt=since).values_list("kind").order_by("kind")
    tokens = APIToken.objects.order_by("pk").values_list("pk", flat=True)
    before = tokens.filter(created_at__lte=since)
    asked: dict[str, Callable[[], Any]] = {
        "by_kind": lambda: dict(events.annotate(Count("pk"))),
        "issued": tokens.filter(created_at__gt=since).count,
        "deleted": lambda: list(before.filter(deleted_at__gt=since)),
        "rotated": lambda: list(before.filter(deleted_at=None, rotated_at__gt=since)),
        "sent": Mail.objects.filter(state=State.SENT, sent_at__gt=since).count,
    }
    found = dict[str, Any]()
    for name, ask in asked.items():
        with suppress(DatabaseError):
            found[name] = ask()
    connection.close()
    return Losses(**found, is_all_read=len(found) == len(asked)) if found else None


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
    connection.close()
    if is_other:
        remarks += _write_secrets(secret_keys[0], ring)
    return Restored(held, remarks)


@sensitive_variables()
def _write_secrets(secret_key: str, ring: dict[int, bytes]) -> list[str]:
    """Raises `BackupError`."""
    try:
        return [f"Written: {path}." for path in keys.put_back(secret_key, ring)]
    except OSError as error:
        raise BackupError(
            "The backup is in the place of the database, but its secrets could not be written "
            f"({reason_of(error)}). Until they are, the portal serves nobody. Mend that, and "
            "restore again."
        ) from error


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
