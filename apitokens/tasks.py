"""Celery tasks of API tokens. All are idempotent."""

from celery import shared_task

from accounts.authorization.actor import Actor, EntryPoint
from apitokens.expiry import scan as expiry
from apitokens.tokens import services as token_services
from apitokens.usage import store
from notifications.jobs import database_now
from notifications.tasks import trigger_delivery


@shared_task
def forget_digests() -> int:
    """Drop the digests of tokens that were deleted 90 days ago."""
    return token_services.forget_digests(
        by=Actor.operator(through=EntryPoint.SYSTEM), at=database_now()
    )


@shared_task
def scan_expirations() -> int:
    """Decide who has to be told that tokens expire, and have the mails sent."""
    done = expiry.scan(at=database_now())
    if done.mails:
        trigger_delivery()
    return done.mails


@shared_task
def forget_uses() -> int:
    """Delete addresses unseen for 90 days, and counts of days that no chart shows."""
    return store.forget(at=database_now())
