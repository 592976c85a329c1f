"""`manage.py hand_over_tokens`: give the tokens of one issuer to another one of the account."""

import argparse
from typing import Any

from django.core.exceptions import PermissionDenied, ValidationError
from django.core.management.base import BaseCommand, CommandError
from django.db.models import Q
from django.utils import timezone

from accounts.authorization.actor import Actor, EntryPoint
from accounts.management.progress import Progress
from accounts.management.terminal import as_command_error, find_account, storable
from accounts.models import Account, Membership
from accounts.validators import parse_id
from apitokens.cache import in_force
from apitokens.tokens.handover import hand_over_in_parts


class Command(BaseCommand):
    help = (
        "Hands all active API tokens of a user or a service account over to another one of the "
        "same account. They keep their IDs and secrets. The user may be deactivated or removed. "
        "Many tokens are handed over 1,000 at a time: run it again to go on where it was stopped."
    )

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--account", metavar="ID|NAME", required=True)
        parser.add_argument("--from", metavar="EMAIL|ID", required=True, dest="former")
        parser.add_argument("--to", metavar="EMAIL|ID", required=True, dest="receiver")

    def handle(self, *args: Any, **options: Any) -> None:
        account = find_account(options["account"])
        former = _find_issuer(account, storable(options["former"]))
        receiver = _find_issuer(account, storable(options["receiver"]))
        progress = Progress(self.stderr, "Handing over API tokens", 0)

        def report(part: int, total: int) -> None:
            progress.total = total
            progress.advance(part)

        try:
            with in_force.together():
                hand_over_in_parts(
                    issuer=former,
                    to=receiver,
                    by=Actor.operator(through=EntryPoint.COMMAND),
                    at=timezone.now(),
                    report=report,
                )
        except (ValidationError, PermissionDenied) as refusal:
            progress.end()
            if progress.done:
                self._say(progress.done)
            raise as_command_error(refusal) from None
        progress.end()
        self._say(progress.done)

    def _say(self, number: int) -> None:
        self.stdout.write(f"{number} API tokens were handed over.")


def _find_issuer(account: Account, text: str) -> Membership:
    """The user or service account with this address or ID, also a deactivated one."""
    is_meant = Q(user__email=text.strip().lower())
    if (user_id := parse_id(text.strip())) is not None:
        is_meant |= Q(user=user_id)
    issuers = Membership.everyone.filter(account=account).select_related("user", "account")
    issuer = issuers.filter(is_meant).first()
    if issuer is None:
        raise CommandError(f"“{account.name}” has no user or service account {text}.")
    return issuer
