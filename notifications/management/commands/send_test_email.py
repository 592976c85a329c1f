"""`manage.py send_test_email ADDRESS`: prove the mail settings."""

import argparse
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.mail import EmailMessage
from django.core.management.base import BaseCommand, CommandError
from django.core.validators import validate_email

from notifications.email.transport import DeliveryFailed, DeliveryUnknown, open_transport


class Command(BaseCommand):
    help = "Sends an email in the way the portal sends notifications, and reports the result."

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("address", metavar="ADDRESS")

    def handle(self, *args: Any, **options: Any) -> None:
        address = options["address"].strip()
        try:
            validate_email(address)
            _send(address)
        except ValidationError:
            raise CommandError(f"{address!r} is not an email address.") from None
        except DeliveryFailed as problem:
            raise CommandError(f"The email was not sent. {problem}") from None
        except DeliveryUnknown as problem:
            raise CommandError(f"The email may or may not have arrived. {problem}") from None
        self.stdout.write(f"{_destination()} accepted an email to {address}.")


def _send(address: str) -> None:
    message = EmailMessage(
        subject="Permatoken can send email",
        body=f"This is a test from {settings.BASE_URL}. Notices of expiring API tokens will arrive "
        "like this one.\n",
        to=[address],
        headers={"Auto-Submitted": "auto-generated"},
    )
    with open_transport() as transport:
        transport.send(message, lambda: None)


def _destination() -> str:
    """Who took it."""
    kind = settings.EMAIL_BACKEND.rsplit(".", 2)[-2]
    if kind == "smtp":
        return f"The mail server {settings.EMAIL_HOST}:{settings.EMAIL_PORT}"
    return f"The folder {settings.EMAIL_FILE_PATH}" if kind == "filebased" else f"The {kind}"
