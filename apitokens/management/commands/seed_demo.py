"""`manage.py seed_demo`: fill an empty database with the demo."""

import argparse
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from apitokens.demo import seed
from apitokens.pepper_checks import WrongPeppers, require_right_peppers


class Command(BaseCommand):
    help = "Fills an empty database with two accounts, their users and some twenty API tokens."

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument(
            "--if-empty",
            action="store_true",
            help="Do nothing, successfully, if the database has users.",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        at = timezone.now()
        try:
            require_right_peppers(at=at)
            made = seed.seed(at=at)
        except WrongPeppers as wrong:
            raise CommandError(str(wrong)) from None
        except seed.NotEmpty:
            if options["if_empty"]:
                return
            raise CommandError(
                "The database has users. The demo is for an empty one: "
                "set DATA_DIR or DATABASE_URL to a new place."
            ) from None
        self.stdout.write(f"\nSign in with the password {seed.PASSWORD} as")
        for email, role in made.sign_ins:
            self.stdout.write(f"  {email:<24}{role}")
        self.stdout.write(f"\nTry the API:\n  {seed.curl_line(made)}")
