"""`manage.py create_account`: open an account with its first Administrator."""

import argparse
from typing import Any

from django.core.exceptions import PermissionDenied, ValidationError
from django.core.management.base import BaseCommand, CommandError
from django.db import transaction
from django.utils import timezone
from django.views.decorators.debug import sensitive_variables

from accounts.account import services as account_services
from accounts.authorization.actor import Actor, EntryPoint
from accounts.management.terminal import (
    as_command_error,
    read_password,
    refuse_empty_database,
    storable,
)
from accounts.members import services as members
from accounts.models import Account, User
from accounts.roles import Role
from accounts.sign_in import registration

OPERATOR = Actor.operator(through=EntryPoint.COMMAND)


class Command(BaseCommand):
    help = "Creates an account. Its first Administrator can be a new or an existing user."

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("name", metavar="NAME", help="The company's name.")
        parser.add_argument("--administrator", metavar="EMAIL", required=True)
        parser.add_argument(
            "--name", dest="person", metavar="PERSON", default="", help="The Administrator's name."
        )
        parser.add_argument(
            "--password-stdin",
            action="store_true",
            help="Read a new user's password from the standard input instead of asking for it.",
        )

    @sensitive_variables("password")
    def handle(self, *args: Any, **options: Any) -> None:
        refuse_empty_database()
        name, email = storable(options["name"]), storable(options["administrator"]).strip().lower()
        if Account.objects.filter(name=name.strip()).exists():
            raise CommandError(f"There is already an account called “{name}”.")
        if User.objects.filter(email=email, is_active=False).exists():
            raise CommandError(f"{email} is deactivated. Reactivate the user first.")
        is_known = registration.is_proven_address(email)
        password = None if is_known else read_password(from_stdin=options["password_stdin"])
        try:
            account = _open(name, email, password, person=storable(options["person"]))
        except (ValidationError, PermissionDenied) as refusal:
            raise as_command_error(refusal) from None
        self.stdout.write(f"Created account {account.pk}, “{account.name}”.")
        self.stdout.write(f"{email} is its Administrator and signs in with their password.")


@sensitive_variables("password")
@transaction.atomic
def _open(name: str, email: str, password: str | None, *, person: str) -> Account:
    at = timezone.now()
    user = registration.vouch_for(
        email=email, password=password, name=person, companies=[name], by=OPERATOR, at=at
    )
    account = account_services.open_account(name=name.strip(), by=OPERATOR, at=at)
    members.add_member(account=account, user=user, role=Role.ADMINISTRATORS, by=OPERATOR, at=at)
    return account
