"""`manage.py revoke_tokens`: delete the API tokens of an account, a person or an age, or by id."""

from __future__ import annotations

import argparse
from array import array
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.db.models import Q
from django.utils import timezone

from accounts.authorization.actor import Actor, EntryPoint
from accounts.management.progress import Progress
from accounts.management.terminal import find_account, is_interactive, storable
from accounts.models import User
from accounts.validators import parse_id
from apitokens.cache import in_force
from apitokens.models import APIToken, APITokenQuerySet, VerifierKey
from apitokens.tokens import services as token_services
from apitokens.verification.verifier_keys import delete_verifier

SELECTIONS = ("account", "issuer", "ids", "older_than", "unused_for", "pepper")
PART = 1_000
"""Tokens that are shown, or deleted in one transaction, at a time."""
HEADING = ("ID", "Account", "Issued by", "Role", "Status", "Last usage", "Token name")
COLUMNS = len(HEADING) - 1
"""That have a width."""
OLDEST = 36_525
"""Days: a hundred years."""


class Command(BaseCommand):
    help = (
        "Deletes active and expired API tokens. They stop working immediately. With several "
        "options, only tokens that match all of them are selected. Many tokens are deleted "
        "1,000 at a time: run it again to go on where it was stopped."
    )

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--account", metavar="ID|NAME", help="Tokens of this account.")
        parser.add_argument("--issuer", metavar="EMAIL", help="Tokens that this user issued.")
        parser.add_argument(
            "--id",
            metavar="ID",
            dest="ids",
            type=_token_id,
            nargs="+",
            help="Tokens with these ids.",
        )
        age = parser.add_mutually_exclusive_group()
        age.add_argument(
            "--older-than", metavar="DAYS", type=_days, help="Tokens created longer ago than this."
        )
        age.add_argument(
            "--unused-for",
            metavar="DAYS",
            type=_days,
            help=(
                "Tokens not used for this long, or never used since they were created this long "
                "ago."
            ),
        )
        parser.add_argument(
            "--pepper",
            metavar="NUMBER",
            type=_number,
            help="Tokens and verifier keys that depend on this pepper, which is lost or known to "
            "others.",
        )
        parser.add_argument(
            "--dry-run", action="store_true", help="Show what would be deleted, and delete nothing."
        )
        parser.add_argument("--yes", action="store_true", help="Don't ask for confirmation.")

    def handle(self, *args: Any, **options: Any) -> None:
        at = timezone.now()
        # Eight bytes each: what is asked about is what will be deleted, whatever happens meanwhile.
        selected = _select(options, at=at)
        ids = array("q", selected.undeleted().order_by("pk").values_list("pk", flat=True))
        ended, verifiers = selected.deleted(), _verifiers(options)
        names = [each.name for each in verifiers if each.deleted_at is None]
        if not ids and not names:
            if not options["dry_run"]:
                self._delete_all(array("q"), ended, verifiers, options, at=at)
            self.stdout.write("No matching API tokens. Nothing to delete.")
            return
        self._show(ids, at=at)
        if names:
            self.stdout.write(f"Verifier keys: {', '.join(names)}.")
        if options["dry_run"]:
            self.stdout.write("Dry run: nothing was deleted.")
            return
        if not options["yes"] and not self._is_confirmed(len(ids) + len(names)):
            self.stdout.write("Nothing was deleted.")
            return
        deleted = self._delete_all(ids, ended, verifiers, options, at=at)
        self.stdout.write(self.style.SUCCESS(f"Deleted: {deleted}."))

    def _delete_all(
        self,
        ids: array[int],
        ended: APITokenQuerySet,
        verifiers: list[VerifierKey],
        options: dict[str, Any],
        *,
        at: datetime,
    ) -> int:
        """Delete these tokens and verifier keys, and wait until no process accepts any of them, nor
        those that were `ended` before: by a run, perhaps, that was broken off. Returns how many
        were deleted now."""
        operator = Actor.operator(through=EntryPoint.COMMAND)
        with in_force.together():
            meant = _still_meant(APIToken.objects.all(), options, at=at)
            deleted = self._delete(ids, meant, by=operator)
            in_force.end_tokens_on_commit(ended)
            for verifier in verifiers:
                deleted += delete_verifier(verifier=verifier, by=operator, at=timezone.now())
        return deleted

    def _show(self, ids: array[int], *, at: datetime) -> None:
        widths = [0] * COLUMNS
        progress = Progress(self.stderr, "Listing API tokens", len(ids), beside=self.stdout)
        for part in _parts(ids):
            tokens = APIToken.objects.for_display().select_related("account").in_bulk(part)
            found = [tokens[each] for each in part if each in tokens]
            for line in _table(found, widths, at=at):
                self.stdout.write(line)
            progress.advance(len(part))
        progress.end()
        self.stdout.write(f"\nAPI tokens: {len(ids)}.")

    def _delete(self, ids: array[int], meant: APITokenQuerySet, *, by: Actor) -> int:
        """Delete in parts, each in a transaction: run again, it goes on where it was broken off.
        Tokens stay that were handed over, or used, since they were shown, if that was the choice.
        """
        progress = Progress(self.stderr, "Deleting API tokens", len(ids))
        deleted = 0
        for part in _parts(ids):
            tokens = meant.filter(pk__in=part).select_related("issuer__user")
            deleted += token_services.delete_all(
                tokens=tokens.order_by("pk"), by=by, at=timezone.now()
            )
            progress.advance(len(part))
        progress.end()
        return deleted

    def _is_confirmed(self, number: int) -> bool:
        if not is_interactive():
            raise CommandError(
                "There is no terminal to confirm in, so nothing was deleted. Add --yes to continue."
            )
        self.stdout.write("Applications that use them lose access immediately.")
        return input(f"Delete {number}? Type yes to continue: ").strip().lower() == "yes"


def _token_id(text: str) -> int:
    number = parse_id(text)
    if number is None:
        raise argparse.ArgumentTypeError("must be numbers: what stands before $ or _ in a token")
    return number


def _number(text: str) -> int:
    number = parse_id(text)
    if number is None:
        raise argparse.ArgumentTypeError("must be the number of a pepper")
    return number


def _days(text: str) -> timedelta:
    days = int(text) if text.isascii() and text.isdecimal() and len(text) < 6 else 0
    if not 1 <= days <= OLDEST:
        raise argparse.ArgumentTypeError(f"must be a number of days from 1 to {OLDEST}")
    return timedelta(days=days)


def _select(options: dict[str, Any], *, at: datetime) -> APITokenQuerySet:
    if not any(options[name] for name in SELECTIONS):
        raise CommandError(
            "Say which API tokens: --account, --issuer, --id, --older-than, --unused-for or "
            "--pepper."
        )
    tokens = APIToken.objects.all()
    if options["account"]:
        tokens = tokens.filter(account=find_account(options["account"]))
    tokens = _still_meant(tokens, options, at=at)
    if options["ids"]:
        tokens = tokens.filter(pk__in=_existing(options["ids"]))
    if options["older_than"]:
        tokens = tokens.filter(created_at__lt=at - options["older_than"])
    if options["pepper"]:
        # A token goes whole, also if only its old secret depends on the pepper and still works.
        old = Q(old_secret__pepper=options["pepper"], old_secret__ends_at__gt=at)
        tokens = tokens.filter(Q(pepper=options["pepper"]) | old)
    return tokens


def _still_meant(
    tokens: APITokenQuerySet, options: dict[str, Any], *, at: datetime
) -> APITokenQuerySet:
    """Those of the tokens that fit what may end while the question is on the screen."""
    if options["issuer"]:
        tokens = tokens.filter(issuer__user=_find_user(storable(options["issuer"])))
    if options["unused_for"]:
        tokens = tokens.unused_since(at - options["unused_for"])
    return tokens


def _verifiers(options: dict[str, Any]) -> list[VerifierKey]:
    """Verifier keys belong to no account or person: they are meant by `--pepper` alone. With those
    that are deleted."""
    if not options["pepper"] or any(options[name] for name in SELECTIONS if name != "pepper"):
        return []
    return list(VerifierKey.objects.filter(pepper=options["pepper"]))


def _find_user(email: str) -> User:
    user = User.everyone.filter(email=email.strip().lower()).first()
    if user is None:
        raise CommandError(f"There is no user with the email address {email}.")
    return user


def _existing(ids: list[int]) -> list[int]:
    """The ids, if there is a token for each: a typing error must not pass for success."""
    known = set(APIToken.objects.filter(pk__in=ids).values_list("pk", flat=True))
    unknown = [str(each) for each in ids if each not in known]
    if unknown:
        raise CommandError(f"There is no API token with the id {', '.join(unknown)}.")
    return ids


def _parts(ids: array[int]) -> Iterator[list[int]]:
    return (list(ids[start : start + PART]) for start in range(0, len(ids), PART))


def _table(tokens: list[APIToken], widths: list[int], *, at: datetime) -> list[str]:
    """Lines of columns, at least as wide as before: the first lines have a heading. The name comes
    last: its letters may run from right to left."""
    rows = [] if any(widths) else [HEADING]
    rows += [
        (
            str(token.pk),
            token.account.name,
            token.issuer.user.email,
            token.held_role.label,
            str(token.status(at).label),
            f"{token.last_used_at:%Y-%m-%d}" if token.last_used_at else "Not used yet",
            token.name,
        )
        for token in tokens
    ]
    for row in rows:
        widths[:] = map(max, widths, map(len, row[:COLUMNS]))
    return [
        "  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[-1]])
        for row in rows
    ]
