"""`manage.py prune_audit`: delete audit events that are old enough."""

import argparse
from datetime import timedelta
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand
from django.utils import timezone

from accounts.audit import retention
from accounts.authorization.actor import Actor, EntryPoint
from accounts.management.progress import Progress
from accounts.management.terminal import as_command_error

LONGEST = 36_525
"""Days: a hundred years."""


class Command(BaseCommand):
    help = (
        "Deletes audit events older than a number of days, and records that in an event. Events "
        "from the last 30 days are kept."
    )

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument(
            "--older-than",
            metavar="DAYS",
            type=_days,
            required=True,
            help="How long events are kept: 365d, or just 365.",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        at = timezone.now()
        operator = Actor.operator(through=EntryPoint.COMMAND)
        progress = Progress(self.stderr, "Deleting audit events", 0)

        def report(part: int, total: int) -> None:
            progress.total = total
            progress.advance(part)

        try:
            pruned = retention.prune(
                before=at - options["older_than"], by=operator, at=at, report=report
            )
        except ValidationError as refusal:
            raise as_command_error(refusal) from None
        progress.end()
        self.stdout.write(self.style.SUCCESS(f"Deleted audit events: {pruned}."))


def _days(text: str) -> timedelta:
    number = text.removesuffix("d")
    days = int(number) if number.isascii() and number.isdecimal() and len(number) < 6 else 0
    if not 1 <= days <= LONGEST:
        raise argparse.ArgumentTypeError(
            f"must be a number of days from 1 to {LONGEST}, as in 365d"
        )
    return timedelta(days=days)
