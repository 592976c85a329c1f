"""`manage.py createsuperuser`, known from other Django projects: points to `create_operator`."""

from typing import Any

from django.contrib.auth.management.commands import createsuperuser
from django.core.management.base import CommandError


class Command(createsuperuser.Command):
    """Accepts Django's own arguments, and refuses: the user would be missing in the audit log."""

    help = "Not used here: create operators with create_operator."
    requires_migrations_checks = False

    def handle(self, *args: Any, **options: Any) -> None:
        raise CommandError("No one was created. Use: manage.py create_operator EMAIL")
