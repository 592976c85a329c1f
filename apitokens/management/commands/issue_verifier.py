"""`manage.py issue_verifier`: make the key by which another system may ask about tokens."""

import argparse
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone
from django.views.decorators.debug import sensitive_variables

from accounts.authorization.actor import Actor, EntryPoint
from accounts.management.terminal import as_command_error, find_account, show_once, storable
from apitokens.models import Service
from apitokens.pepper_checks import WrongPeppers, require_right_peppers
from apitokens.verification import verifier_keys


class Command(BaseCommand):
    help = (
        "Creates a verifier key, with which another system can check tokens at "
        "/iam/auth/introspect. Only the key goes to standard output, once."
    )

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("name", metavar="NAME", help="The system that will use the key.")
        parser.add_argument(
            "--service",
            metavar="CODE",
            help="Bind the key to this service: it sees only tokens that can be used at it.",
        )
        parser.add_argument(
            "--account",
            metavar="ID|NAME",
            help="The account whose service it is; otherwise one of all accounts.",
        )

    @sensitive_variables("issued")
    def handle(self, *args: Any, **options: Any) -> None:
        at = timezone.now()
        try:
            require_right_peppers(at=at)
            issued = verifier_keys.issue_verifier(
                name=storable(options["name"]),
                service=_find_service(options["service"], options["account"]),
                by=Actor.operator(through=EntryPoint.COMMAND),
                at=at,
            )
        except ValidationError as refusal:
            raise as_command_error(refusal) from None
        except WrongPeppers as wrong:
            raise CommandError(str(wrong)) from None
        facts = {"id": issued.verifier.pk, "name": issued.verifier.name}
        if issued.verifier.service is not None:
            facts["service"] = issued.verifier.service.code
        show_once(self, issued.key.spell("_"), facts)


def _find_service(code: str | None, account: str | None) -> Service | None:
    if code is None:
        if account is not None:
            raise CommandError("--account belongs to --service: name the service, too.")
        return None
    found = Service.objects.filter(code=code, account=find_account(account) if account else None)
    service = found.first()
    if service is None:
        where = "in this account" if account else "for all accounts"
        raise CommandError(f"There is no service {storable(code)} {where}.")
    return service
