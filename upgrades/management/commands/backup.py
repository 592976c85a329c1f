"""`manage.py backup`: copy the SQLite database while the portal runs."""

import argparse
import os
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError, connection
from django.db.migrations.recorder import MigrationRecorder


class Command(BaseCommand):
    help = "Copies the SQLite database of DATA_DIR into a new file, while the portal runs."
    requires_system_checks = []

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("file", metavar="FILE", type=Path, help="It must not be there yet.")

    def handle(self, *args: Any, **options: Any) -> None:
        file: Path = options["file"]
        name = connection.settings_dict["NAME"]
        if connection.vendor != "sqlite":
            raise CommandError("This is for SQLite. PostgreSQL has its own: pg_dump.")
        if file.exists():
            raise CommandError(f"{file} is there already. Name a new file.")
        if not _is_there() or not MigrationRecorder(connection).has_table():
            raise CommandError(
                f"The database {name} is empty: nothing was copied. "
                "Set DATA_DIR as the portal has it."
            )
        _copy(file)
        self.stdout.write(f"Copied {name} to {file}.")


def _is_there() -> bool:
    """To connect would make an empty one."""
    database: Any = connection
    return database.is_in_memory_db() or Path(database.settings_dict["NAME"]).exists()


def _copy(file: Path) -> None:
    """Write the copy under another name until it is whole, readable to its owner only."""
    draft = file.with_name(f".{file.name}.part")
    try:
        os.close(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        with connection.cursor() as cursor:
            cursor.execute("VACUUM INTO %s", [str(draft)])
        with draft.open("rb+") as copy:
            os.fsync(copy.fileno())
        draft.rename(file)
    except FileExistsError:
        raise CommandError(f"{draft} is there: delete it if no other backup is running.") from None
    except (OSError, DatabaseError) as error:
        draft.unlink(missing_ok=True)
        raise CommandError(f"Nothing was copied: {error}") from None
