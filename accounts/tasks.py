"""Celery tasks: housekeeping of sign-in."""

from celery import shared_task
from django.core.management import call_command

from accounts.jwt import token_families
from accounts.sign_in import registration
from notifications.jobs import database_now


@shared_task
def clear_sessions() -> None:
    """Delete sessions whose time has passed."""
    call_command("clearsessions")


@shared_task
def forget_token_families() -> None:
    """Delete token families whose tokens have all expired."""
    token_families.delete_expired(at=database_now())


@shared_task
def discard_late_sign_ups() -> None:
    """Discard sign-ups that nobody has confirmed for days."""
    registration.discard_late_sign_ups(at=database_now())
