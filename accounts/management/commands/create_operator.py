"""`manage.py create_operator`: let a user into the Django admin."""

import argparse
from typing import Any

from django.core.exceptions import PermissionDenied, ValidationError
from django.core.management.base import BaseCommand
from django.db import transaction
from django.utils import timezone
from django.views.decorators.debug import sensitive_variables

from accounts.authorization.actor import Actor, EntryPoint
from accounts.management.terminal import (
    as_command_error,
    read_password,
    refuse_empty_database,
    storable,
)
from accounts.sign_in import registration
from accounts.users import services as user_services

OPERATOR = Actor.operator(through=EntryPoint.COMMAND)


class Command(BaseCommand):
    help = "Gives a new or existing user access to the operator pages at /operators/."

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("email", metavar="EMAIL")
        parser.add_argument("--name", default="", help="The person's name, for a new user.")
        parser.add_argument(
            "--password-stdin",
            action="store_true",
            help="Read a new user's password from the standard input instead of asking for it.",
        )

    @sensitive_variables("password")
    def handle(self, *args: Any, **options: Any) -> None:
        refuse_empty_database()
        email = storable(options["email"]).strip().lower()
        is_known = registration.is_proven_address(email)
        password = None if is_known else read_password(from_stdin=options["password_stdin"])
        try:
            _make(email, password, name=storable(options["name"]))
        except (ValidationError, PermissionDenied) as refusal:
            raise as_command_error(refusal) from None
        self.stdout.write(f"{email} is an operator. Their pages are at /operators/.")


@sensitive_variables("password")
@transaction.atomic
def _make(email: str, password: str | None, *, name: str) -> None:
    at = timezone.now()
    user = registration.vouch_for(email=email, password=password, name=name, by=OPERATOR, at=at)
    user_services.make_operator(user=user, by=OPERATOR, at=at)
