"""`manage.py send_expiry_notices`: tell people of expiring tokens now, and say who was told."""

import argparse
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone
from django.utils.dateparse import parse_datetime

from accounts.management.progress import Progress
from apitokens.expiry import scan as expiry
from apitokens.expiry.scan import NotificationDigest
from notifications.email import delivery
from notifications.jobs import SomeFailed, database_now
from notifications.kinds import Channel
from notifications.models import Mail


class Command(BaseCommand):
    help = (
        "Notifies people of API tokens that expire soon, as the worker does continuously: puts "
        "notifications into inboxes and sends pending emails. No one is notified twice."
    )

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument(
            "--dry-run",
            action="store_true",
            help=(
                "Show who would be notified and how many emails are already pending, without "
                "notifying anyone."
            ),
        )
        parser.add_argument(
            "--at",
            metavar="TIME",
            type=_moment,
            help="Notify now about everything due by this time (2027-01-31T12:00Z). No one will "
            "be notified about it again. Tokens that expire before this time are left out: "
            "run without --at to notify people of them.",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        at = database_now()
        self._say_what_is_left_out(at=at, due_by=options["at"])
        progress = self._progress(expiry.number_due(at=at, due_by=options["at"]))
        advance = progress.advance
        if options["dry_run"]:
            told = self._show(expiry.preview(at=at, due_by=options["at"], advance=advance))
            progress.end()
            self.stdout.write(f"Dry run: {told} would be notified.{_waiting_words(at)}")
            return
        try:
            done = expiry.scan(at=at, due_by=options["at"], report=self._show_one, advance=advance)
        except SomeFailed as some:
            progress.end()
            delivery.deliver()
            raise CommandError(f"Accounts: {some}") from None
        progress.end()
        outcome = delivery.deliver()
        self.stdout.write(
            f"Tokens: {done.tokens}. New emails: {done.mails}. "
            f"Sent: {outcome.sent}, postponed: {outcome.postponed}, failed: {outcome.failed}, "
            f"in doubt: {outcome.in_doubt}, no longer needed: {outcome.dropped}."
        )

    def _progress(self, number: int) -> Progress:
        return Progress(self.stderr, "API tokens looked at", number, beside=self.stdout)

    def _say_what_is_left_out(self, *, at: datetime, due_by: datetime | None) -> None:
        if due_by and (number := expiry.left_out(at=at, due_by=due_by)):
            self.stdout.write(
                f"Left out, because they expire before {due_by:%Y-%m-%d %H:%M %Z}: {number} due "
                "tokens. People are notified of them in due time, or now without --at."
            )

    def _show(self, digests: Iterable[NotificationDigest]) -> int:
        number = 0
        for digest in digests:
            self._show_one(digest)
            number += 1
        return number

    def _show_one(self, digest: NotificationDigest) -> None:
        """A line for a person. Names of tokens come last: their letters may run right to left."""
        channels = " and ".join(str(each.label) for each in Channel if each in digest.channels)
        self.stdout.write(
            f"{digest.member.user.email} ({digest.member.account.name}), by {channels}: "
            + ", ".join(f"{token.pk} {token.name}" for token in digest.tokens)
        )


def _waiting_words(at: datetime) -> str:
    number = Mail.objects.due(at).count()
    return f" Pending emails that would be sent: {number}." if number else ""


def _moment(text: str) -> datetime:
    """A time with its offset, or in UTC."""
    try:
        moment = parse_datetime(text)
    except ValueError:
        moment = None
    if moment is None:
        raise argparse.ArgumentTypeError("must be a time such as 2027-01-31T12:00Z")
    return moment if timezone.is_aware(moment) else timezone.make_aware(moment)
