"""Celery tasks: housekeeping of sign-in."""

from celery import shared_task
from django.core.management import call_command
from django.utils import timezone

from accounts.jwt import token_families


@shared_task
def clear_sessions() -> None:
    """Delete sessions whose time has passed."""
    call_command("clearsessions")


@shared_task
def forget_token_families() -> None:
    """Delete token families whose tokens have all expired."""
    token_families.delete_expired(at=timezone.now())
