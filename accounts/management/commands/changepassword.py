"""`manage.py changepassword`: give a user another password, on the record."""

import argparse
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone
from django.views.decorators.debug import sensitive_variables

from accounts.authorization.actor import Actor, EntryPoint
from accounts.management.terminal import as_command_error, read_password, storable
from accounts.models import User
from accounts.users import services as user_services


class Command(BaseCommand):
    help = "Sets a user's password and ends their sessions."

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("email", metavar="EMAIL")
        parser.add_argument(
            "--password-stdin",
            action="store_true",
            help="Read the password from the standard input instead of asking for it.",
        )

    @sensitive_variables("password")
    def handle(self, *args: Any, **options: Any) -> None:
        email = storable(options["email"]).strip().lower()
        user = User.objects.filter(email=email).first()
        if user is None:
            raise CommandError(f"There is no user with the email address {email}.")
        password = read_password(from_stdin=options["password_stdin"])
        by, at = Actor.operator(through=EntryPoint.COMMAND), timezone.now()
        try:
            user_services.set_password(user=user, password=password, by=by, at=at)
        except ValidationError as refusal:
            raise as_command_error(refusal) from None
        self.stdout.write(f"{email} has a new password. Their sessions have ended.")
