"""`manage.py issue_verifier`: make the key by which another system may ask about tokens."""

import argparse
from typing import Any

from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone
from django.views.decorators.debug import sensitive_variables

from accounts.authorization.actor import Actor, EntryPoint
from accounts.management.terminal import as_command_error, show_once, storable
from apitokens.pepper_checks import WrongPeppers, require_right_peppers
from apitokens.verification import verifier_keys


class Command(BaseCommand):
    help = (
        "Creates a verifier key, with which another system can check tokens at "
        "/iam/auth/introspect. Only the key goes to standard output, once."
    )

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("name", metavar="NAME", help="The system that will use the key.")

    @sensitive_variables("issued")
    def handle(self, *args: Any, **options: Any) -> None:
        at = timezone.now()
        try:
            require_right_peppers(at=at)
            issued = verifier_keys.issue_verifier(
                name=storable(options["name"]),
                by=Actor.operator(through=EntryPoint.COMMAND),
                at=at,
            )
        except ValidationError as refusal:
            raise as_command_error(refusal) from None
        except WrongPeppers as wrong:
            raise CommandError(str(wrong)) from None
        facts = {"id": issued.verifier.pk, "name": issued.verifier.name}
        show_once(self, issued.key.spell("_"), facts)
