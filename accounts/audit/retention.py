"""Retention: prunes old events, the only way in which events are deleted."""

from collections.abc import Callable
from datetime import datetime, timedelta

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import QuerySet
from django.utils.translation import gettext as _

from accounts.audit import recorder as audit
from accounts.authorization.actor import Actor
from accounts.authorization.recheck import operators_only
from accounts.models import AuditEvent, AuditPruning

SHORTEST_KEPT = timedelta(days=30)
"""So that nobody covers their tracks of this month."""

PART = 5_000
"""Events deleted in one transaction, so that others write in between."""

PRUNED = "audit.pruned"


Report = Callable[[int, int], None]
"""Is told how many events a part has deleted, and of how many in all."""


def prune(
    *, before: datetime, by: Actor, at: datetime, report: Report = lambda _part, _total: None
) -> int:
    """Delete the events older than `before`; returns how many. Idempotent.

    Deletes in parts, each in a transaction. The first writes the event that records how many there
    were, so that no deletion is without a record; these events themselves stay for good. Raises
    `PermissionDenied` for all but operators, `ValidationError` for events of the last 30 days.
    """
    by = operators_only(by, at)
    if before > at - SHORTEST_KEPT:
        raise ValidationError(
            _("Events from the last %(days)d days must be kept. Choose an earlier date."),
            code="too_recent",
            params={"days": SHORTEST_KEPT.days},
        )
    total, part = _first_part(before, by=by, at=at)
    pruned = 0
    while part:
        pruned += part
        report(part, total)
        part = _part(before)
    return pruned


@transaction.atomic
def _first_part(before: datetime, *, by: Actor, at: datetime) -> tuple[int, int]:
    """How many there are in all, and how many of them are gone now."""
    count = _old(before).count()
    if not count:
        return 0, 0
    audit.record(PRUNED, by=by, at=at, before=before.isoformat(), count=count)
    return count, _part(before)


@transaction.atomic
def _part(before: datetime) -> int:
    permit = AuditPruning.objects.create(before=before)
    part = _old(before).order_by("at").values("pk")[:PART]
    # A plain QuerySet, because the model's own deletes nothing; the trigger still checks.
    deleted: int = QuerySet(AuditEvent).filter(pk__in=part)._raw_delete("default")
    permit.delete()
    return deleted


def _old(before: datetime) -> QuerySet[AuditEvent]:
    return AuditEvent.objects.filter(at__lt=before).exclude(kind=PRUNED)
