"""Celery's door to the verbs. Every task may run twice; the second run is dull."""

from celery import shared_task
from django.utils import timezone

from accounts.actors import Actor, Through
from apitokens import services


@shared_task
def forget_digests() -> int:
    """Drop the digests of tokens that were deleted 90 days ago."""
    return services.forget_digests(by=Actor.operator(through=Through.SYSTEM), at=timezone.now())
