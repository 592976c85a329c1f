"""Writes audit events, inside the transaction of the change that they record."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any, NamedTuple

from django.db import models

from accounts.authorization.actor import Actor
from accounts.models import Account, AuditEvent
from notifications.links import redact
from telemetry.context import request_id
from telemetry.metrics import EVENTS


class Happened(NamedTuple):
    """What one of many events of a kind is about."""

    account_id: int
    subject: models.Model
    details: dict[str, Any]


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
    account_id = account.pk if account else account_id
    event = _event(kind, by=by, at=at, account_id=account_id, subject=subject, details=details)
    event.save(force_insert=True)
    return event


def record_many(kind: str, happened: Iterable[Happened], *, by: Actor, at: datetime) -> None:
    """As `record`, for many events of a kind: in few statements, while others wait to write."""
    events = [
        _event(
            kind,
            by=by,
            at=at,
            account_id=each.account_id,
            subject=each.subject,
            details={**each.details},
        )
        for each in happened
    ]
    EVENTS.labels(kind).inc(len(events))
    AuditEvent.objects.bulk_create(events)


def _event(
    kind: str,
    *,
    by: Actor,
    at: datetime,
    account_id: int | None,
    subject: models.Model | None,
    details: dict[str, Any],
) -> AuditEvent:
    if identifier := request_id():
        details["request_id"] = identifier
    return AuditEvent(
        at=at,
        kind=kind,
        account_id=account_id,
        user=by.user,
        through=by.through,
        through_token=by.token_id,
        address=by.address,
        subject_type=subject._meta.model_name or "" if subject else "",
        subject_id=subject.pk if subject else None,
        details={name: _without_secrets(value) for name, value in details.items()},
    )


def _without_secrets(value: Any) -> Any:
    """What callers are careful about is held here once more: nobody can edit an event."""
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, dict):
        return {_without_secrets(key): _without_secrets(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_without_secrets(each) for each in value]
    return value
