"""`manage.py backup`: a copy of the database while the portal runs, read back before it counts."""

import argparse
from datetime import datetime
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError, connection
from django.db.migrations.recorder import MigrationRecorder
from django.utils import timezone

from notifications.jobs import BACKED_UP, database_now, record_heartbeat
from operations.backups.archive import BackupError
from operations.backups.encryption import lock_for
from operations.backups.making import back_up


class Command(BaseCommand):
    help = (
        "Backs the database up into a new folder, while the portal runs, and reads it back. "
        "Peppers and SECRET_KEY are not in it: --secrets-to keeps them apart."
    )
    requires_system_checks = []

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--to", type=Path, required=True, metavar="FOLDER")
        parser.add_argument(
            "--secrets-to",
            type=Path,
            metavar="FOLDER",
            help="Where peppers and SECRET_KEY are written to: another place, or encrypted.",
        )
        parser.add_argument(
            "--keep", type=_number, metavar="N", help="Delete all but the newest N backups of --to."
        )
        parser.add_argument(
            "--passphrase-file", type=Path, metavar="FILE", help="Encrypt with what is in the file."
        )
        parser.add_argument(
            "--age-recipient",
            action="append",
            default=[],
            metavar="age1…",
            help="Encrypt for a recipient of age. May be repeated.",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if not _is_there():
            raise CommandError(
                f"The database {connection.settings_dict['NAME']} is empty: nothing was copied. "
                "Set DATA_DIR or DATABASE_URL as the portal has it."
            )
        try:
            began = database_now()
            lock = lock_for(
                passphrase=read_passphrase(options["passphrase_file"]),
                recipients=options["age_recipient"],
            )
            made = back_up(
                into=options["to"],
                at=timezone.now(),
                lock=lock,
                secrets_into=options["secrets_to"],
                keep=options["keep"],
            )
        except BackupError as error:
            raise CommandError(str(error)) from None
        except (OSError, DatabaseError) as error:
            raise CommandError(f"Nothing was backed up: {error}") from None
        rows = sum(made.counts.values())
        self.stdout.write(f"Backed up to {made.folder}, and read back: {rows} rows.")
        self._note(began)
        for folder in made.deleted:
            self.stdout.write(f"Deleted {folder}.")
        if made.left_over:
            words = f"Older backups could not be deleted: {made.left_over}"
            self.stderr.write(self.style.WARNING(words))
        if made.secrets:
            self.stdout.write(f"Peppers and SECRET_KEY are in {made.secrets}. Keep it apart.")
        else:
            self.stdout.write(
                "Peppers and SECRET_KEY are not in it, and without them it is of no use: keep them "
                "apart, or give --secrets-to."
            )

    def _note(self, at: datetime) -> None:
        """Record that there is a backup, for those who watch. It counts without this, too: the
        database may be one that can only be read."""
        try:
            record_heartbeat(name=BACKED_UP, at=at)
        except DatabaseError as error:
            words = f"The database did not record it for metrics and manage.py status: {error}"
            self.stderr.write(self.style.WARNING(words))


def read_passphrase(file: Path | None) -> str:
    """The first line of the file. Raises `BackupError`."""
    if file is None:
        return ""
    try:
        lines = file.read_text().splitlines()
    except (OSError, ValueError) as error:
        raise BackupError(f"{file} can't be read: {error}") from None
    if not lines or not lines[0]:
        raise BackupError(f"{file} has no passphrase in its first line.")
    return lines[0]


def _is_there() -> bool:
    """To connect to SQLite would make an empty one."""
    database: Any = connection
    is_file = connection.vendor == "sqlite" and not database.is_in_memory_db()
    if is_file and not Path(database.settings_dict["NAME"]).exists():
        return False
    return MigrationRecorder(connection).has_table()


def _number(text: str) -> int:
    if not (text.isascii() and text.isdecimal() and 0 < int(text) < 10_000):
        raise argparse.ArgumentTypeError("must be a number from 1 on")
    return int(text)
