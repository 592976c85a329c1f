"""Celery tasks. Each is idempotent."""

from celery import shared_task

from accounts.authorization.actor import Actor, EntryPoint
from notifications.jobs import database_now
from sso.connections import certificate_notices
from sso.inactivity import services as inactivity
from sso.login import replay_protection


@shared_task
def enforce_inactivity_policies() -> int:
    """Apply the accounts' inactivity policies."""
    return inactivity.enforce_policies(
        by=Actor.operator(through=EntryPoint.SYSTEM), at=database_now()
    )


@shared_task
def delete_expired_assertions() -> int:
    """Delete the replay protection's rows of expired messages."""
    return replay_protection.delete_expired_assertions(at=database_now())


@shared_task
def notify_expiring_certificates() -> int:
    """Notify Administrators whose provider's last certificate expires."""
    by = Actor.operator(through=EntryPoint.SYSTEM)
    return certificate_notices.notify_expiring_certificates(by=by, at=database_now())
