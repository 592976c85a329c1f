"""`manage.py switch_off_second_factors`: let a user sign in who has lost phone and codes."""

import argparse
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from accounts.authorization.actor import Actor, EntryPoint
from accounts.email_addresses import known_email
from accounts.models import User
from accounts.sign_in import mfa


class Command(BaseCommand):
    help = (
        "Removes a user's authenticator app, passkeys and recovery codes, so that they can sign "
        "in with just their password. First make sure who you are talking to."
    )

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("email", metavar="EMAIL")

    def handle(self, *args: Any, **options: Any) -> None:
        email = known_email(options["email"])
        user = User.objects.filter(email=email).first() if email else None
        if user is None:
            raise CommandError("There is no user with this email address.")
        by = Actor.operator(through=EntryPoint.COMMAND)
        if mfa.disable(user=user, by=by, at=timezone.now()):
            self.stdout.write(
                f"{email} can now sign in with just their password, and was notified."
            )
        else:
            self.stdout.write(f"{email} had no second factor. Nothing was changed.")
