"""Celery's door to what single sign-on does by itself. Every task may run twice."""

from celery import shared_task
from django.utils import timezone

from accounts.authorization.actor import Actor, EntryPoint
from sso.connections import certificate_notices
from sso.inactivity import services as inactivity
from sso.login import services as login


@shared_task
def watch_absences() -> int:
    """Do what accounts have chosen about API tokens of people who stay away."""
    return inactivity.enforce(by=Actor.operator(through=EntryPoint.SYSTEM), at=timezone.now())


@shared_task
def forget_assertions() -> int:
    """Drop what is too old to be believed anyway."""
    return login.forget(at=timezone.now())


@shared_task
def warn_of_certificates() -> int:
    """Tell Administrators that their provider's last certificate ends."""
    by = Actor.operator(through=EntryPoint.SYSTEM)
    return certificate_notices.warn_of_ending(by=by, at=timezone.now())
