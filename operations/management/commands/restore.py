"""`manage.py restore`: put a backup in the place of the database."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError
from django.utils import timezone

from operations.backups.archive import BackupError
from operations.backups.restoring import (
    MOST_NAMED,
    Backup,
    Losses,
    losses,
    require_restorable,
    restore,
)
from operations.management.commands.backup import read_passphrase

ASK = "Type restore to go on: "


class Command(BaseCommand):
    help = (
        "Restores a backup. Refuses a database that is in use, says what will be lost, and asks. "
        "Emails that may have been sent since are put on hold."
    )
    requires_system_checks = []

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("folder", type=Path, metavar="FOLDER", help="The backup.")
        parser.add_argument(
            "--secrets", type=Path, metavar="FILE", help="What backup --secrets-to has made."
        )
        parser.add_argument(
            "--without-secrets",
            action="store_true",
            help="Restore though its peppers or SECRET_KEY are lost.",
        )
        parser.add_argument("--passphrase-file", type=Path, metavar="FILE")
        parser.add_argument(
            "--age-identity", type=Path, metavar="FILE", help="What opens a backup made for age."
        )
        parser.add_argument("--yes", action="store_true", help="Do not ask.")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            backup = self._open(options)
            require_restorable(backup.manifest)
            self._tell(backup, losses(backup.manifest))
            if not options["yes"] and input(ASK).strip() != "restore":
                raise CommandError("Nothing was restored.")
            done = restore(
                backup,
                at=timezone.now(),
                secrets=options["secrets"],
                needs_secrets=not options["without_secrets"],
            )
        except BackupError as error:
            raise CommandError(str(error)) from None
        except EOFError:
            raise CommandError(
                "Nothing was restored: give --yes where nobody can answer."
            ) from None
        except DatabaseError as error:
            raise CommandError(f"The database can't be restored: {error}") from None
        for remark in done.remarks:
            self.stdout.write(remark)
        self.stdout.write(self.style.SUCCESS("Restored. The portal can be started."))
        if done.held:
            self.stdout.write(
                f"{done.held} emails are on hold, because they may have been sent since the "
                "backup: decide about them at /operators/notifications/mail/."
            )

    def _open(self, options: dict[str, Any]) -> Backup:
        file: Path | None = options["age_identity"]
        try:
            identity = file.read_text() if file else ""
        except (OSError, ValueError) as error:
            raise BackupError(f"{file} can't be read: {error}") from None
        passphrase = read_passphrase(options["passphrase_file"])
        return Backup(options["folder"], passphrase=passphrase, identity=identity)

    def _tell(self, backup: Backup, lost: Losses | None) -> None:
        manifest = backup.manifest
        self.stdout.write(f"{backup.folder} was made at {manifest.made_at}, and is whole.")
        if lost is None or lost.are_none:
            self.stdout.write("The present database has nothing that the backup lacks.")
            return
        self.stdout.write(
            f"What was changed since is lost: {lost.events} events of the audit log, "
            f"{lost.issued} new API tokens. {lost.sent} emails were sent since."
        )
        if not lost.is_all_read:
            self.stdout.write(
                self.style.WARNING(
                    "The present database is of another release, and more may be lost: not all of "
                    "it can be read."
                )
            )
        if lost.by_kind:
            kinds = ", ".join(f"{number} × {kind}" for kind, number in lost.by_kind.items())
            self.stdout.write(
                f"Those events are {kinds}. What they took from people and API tokens, such as a "
                "role, a membership or an address, is theirs again: take it once more."
            )
        self._warn(lost.deleted, "were deleted since, and are in force again", "Delete them")
        self._warn(
            lost.rotated,
            "were rotated since: the new secrets are lost, and the old ones in force again",
            "Rotate them once more, or delete them",
        )

    def _warn(self, tokens: Sequence[int], words: str, what_to_do: str) -> None:
        if tokens:
            named = ", ".join(map(str, tokens[:MOST_NAMED]))
            more = " and others" if len(tokens) > MOST_NAMED else ""
            self.stdout.write(
                self.style.WARNING(
                    f"{len(tokens)} API tokens {words}: {named}{more}. {what_to_do}: "
                    "manage.py revoke_tokens --id …"
                )
            )
