"""`manage.py accept_secret_key`: the way back from a `SECRET_KEY` that is lost."""

from typing import Any

from django.core.management.base import BaseCommand
from django.utils import timezone

from apitokens.pepper_checks import accept_secret_key


class Command(BaseCommand):
    help = (
        "Registers the SECRET_KEY of this process in the database when the previous one is lost. "
        "Everyone has to sign in again, and their authenticator apps are lost."
    )

    def handle(self, *args: Any, **options: Any) -> None:
        accept_secret_key(at=timezone.now())
        self.stdout.write("SECRET_KEY is known. Start every process with it.")
