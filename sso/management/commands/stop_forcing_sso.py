"""`manage.py stop_forcing_sso`: let an account use passwords again when its provider fails."""

import argparse
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from accounts.authorization.actor import Actor, EntryPoint
from accounts.management.terminal import find_account
from sso.connections import services as connections


class Command(BaseCommand):
    help = (
        "Stops an account's single sign-on from being the only way in: its people may use their "
        "passwords and passkeys again. Single sign-on itself stays as it is."
    )

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("account", metavar="ACCOUNT", help="The account's id or name.")

    def handle(self, *args: Any, **options: Any) -> None:
        account = find_account(options["account"])
        connection = connections.connection_of(account.pk)
        if connection is None:
            raise CommandError(f"The account “{account.name}” has no single sign-on.")
        by = Actor.operator(through=EntryPoint.COMMAND)
        if connections.stop_forcing(connection=connection, by=by, at=timezone.now()):
            self.stdout.write(f"Users of “{account.name}” can use their passwords again.")
        else:
            self.stdout.write(
                f"Single sign-on was not required in “{account.name}”. Nothing was changed."
            )
