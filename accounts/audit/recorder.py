"""Writes audit events, inside the transaction of the change that they record."""

from datetime import datetime
from typing import Any

from django.db import models

from accounts.authorization.actor import Actor
from accounts.models import Account, AuditEvent
from telemetry.context import request_id
from telemetry.metrics import EVENTS


def record(
    kind: str,
    *,
    by: Actor,
    at: datetime,
    account: Account | None = None,
    account_id: int | None = None,
    subject: models.Model | None = None,
    **details: Any,
) -> AuditEvent:
    """Write one event. `details` must be JSON values, and never a secret.

    An event that an API token causes belongs to the token's account, whatever its subject is:
    Administrators of the person's other accounts must not learn of the token.
    """
    if account is None and account_id is None and by.token_id is not None:
        account = by.account
    EVENTS.labels(kind).inc()
    if identifier := request_id():
        details["request_id"] = identifier
    return AuditEvent.objects.create(
        at=at,
        kind=kind,
        account_id=account.pk if account else account_id,
        user=by.user,
        through=by.through,
        through_token=by.token_id,
        address=by.address,
        subject_type=subject._meta.model_name or "" if subject else "",
        subject_id=subject.pk if subject else None,
        details=details,
    )
