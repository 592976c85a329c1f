"""`manage.py settle_restored`: after PostgreSQL itself has gone back to a point in time."""

import argparse
from datetime import datetime
from typing import Any

from django.core.management.base import BaseCommand
from django.utils import timezone

from operations.backups.aftermath import settle


class Command(BaseCommand):
    help = (
        "Puts emails on hold that may have been sent after the point in time that the database was "
        "restored to by its own means. manage.py restore does so by itself."
    )

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument(
            "--made-at", type=_moment, required=True, metavar="TIME", help="That point in time."
        )

    def handle(self, *args: Any, **options: Any) -> None:
        held = settle(at=timezone.now(), made_at=options["made_at"].isoformat())
        self.stdout.write(
            f"{held} emails are on hold: decide about them at /operators/notifications/mail/."
        )


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        moment = datetime.min  # noqa: DTZ901  # has no zone, as is refused below
    if moment.tzinfo is None:
        raise argparse.ArgumentTypeError("must look like 2027-01-01T03:00:00+00:00")
    return moment
