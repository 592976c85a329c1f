"""Audit events are written once: nothing changes or deletes one, but their age."""

import re
from collections.abc import Callable
from datetime import datetime, timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.exceptions import PermissionDenied, ValidationError
from django.core.management import CommandError, call_command
from django.core.management.color import no_style
from django.db import DatabaseError, connection, models, transaction
from django.db.models.deletion import Collector
from django.db.models.sql import DeleteQuery

from accounts.audit import recorder as audit
from accounts.audit import retention
from accounts.authorization.actor import Actor, EntryPoint
from accounts.models import AuditEvent, AuditPruning, Membership

OPERATOR = Actor.operator(through=EntryPoint.COMMAND)
TABLE = AuditEvent._meta.db_table

Act = Callable[[AuditEvent], Any]


@pytest.fixture
def event(db: None, now: datetime) -> AuditEvent:
    return audit.record("sign_out", by=OPERATOR, at=now - timedelta(days=400))


def sql(statement: str) -> None:
    with connection.cursor() as cursor:
        cursor.execute(statement)


def collected(event: AuditEvent) -> None:
    collector = Collector(using="default", origin=event)
    collector.collect([event])
    collector.delete()


THROUGH_THE_MODEL: dict[str, Act] = {
    "save": lambda event: event.save(),
    "save one field": lambda event: event.save(update_fields=["kind"]),
    "delete": lambda event: event.delete(),
    "update": lambda event: AuditEvent.objects.update(kind="forged"),
    "filtered update": lambda event: AuditEvent.objects.filter(pk=event.pk).update(kind="forged"),
    "bulk update": lambda event: AuditEvent.objects.bulk_update([event], ["kind"]),
    "update or create": lambda event: AuditEvent.objects.update_or_create(
        pk=event.pk, defaults={"kind": "forged"}
    ),
    "queryset delete": lambda event: AuditEvent.objects.all().delete(),
    "raw delete": lambda event: AuditEvent.objects.all()._raw_delete("default"),
    "saved over": lambda event: models.Model.save(
        AuditEvent(pk=event.pk, at=event.at, kind="forged"), force_update=True
    ),
    "base manager update": lambda event: AuditEvent._base_manager.update(kind="forged"),
    "base manager delete": lambda event: AuditEvent._base_manager.all().delete(),
}
AROUND_THE_MODEL: dict[str, Act] = {
    "plain queryset update": lambda event: models.QuerySet(AuditEvent).update(kind="forged"),
    "plain queryset delete": lambda event: models.QuerySet(AuditEvent).all().delete(),
    "collector": collected,
    "delete query": lambda event: DeleteQuery(AuditEvent).delete_batch([event.pk], "default"),
    "upsert": lambda event: AuditEvent.objects.bulk_create(
        [AuditEvent(pk=event.pk, at=event.at, kind="forged", through="system")],
        update_conflicts=True,
        update_fields=["kind"],
        unique_fields=["pk"],
    ),
    "SQL update": lambda event: sql(f"UPDATE {TABLE} SET kind = 'forged'"),
    "SQL delete": lambda event: sql(f"DELETE FROM {TABLE}"),
}


@pytest.mark.parametrize("act", THROUGH_THE_MODEL.values(), ids=THROUGH_THE_MODEL)
def test_the_model_refuses_to_change_or_delete_an_event(act: Act, event: AuditEvent) -> None:
    with pytest.raises(TypeError, match="Audit events cannot be"), transaction.atomic():
        act(event)

    assert AuditEvent.objects.get().kind == "sign_out"


@pytest.mark.both
@pytest.mark.parametrize("act", AROUND_THE_MODEL.values(), ids=AROUND_THE_MODEL)
def test_the_database_refuses_what_goes_around_the_model(act: Act, event: AuditEvent) -> None:
    with pytest.raises(DatabaseError, match="Audit events cannot be"), transaction.atomic():
        act(event)

    assert AuditEvent.objects.get().kind == "sign_out"


@pytest.mark.both
def test_the_whole_table_is_not_emptied_at_once(transactional_db: None, event: AuditEvent) -> None:
    """`manage.py flush` does it this way."""
    (emptying,) = connection.ops.sql_flush(no_style(), [TABLE])
    with pytest.raises(DatabaseError, match="Audit events cannot be"), transaction.atomic():
        sql(emptying)

    assert AuditEvent.objects.exists()


@pytest.mark.both
def test_old_events_go_and_young_ones_stay(event: AuditEvent, now: datetime) -> None:
    young = audit.record("sign_out", by=OPERATOR, at=now - timedelta(days=364))

    pruned = retention.prune(before=now - timedelta(days=365), by=OPERATOR, at=now)

    assert pruned == 1
    assert AuditEvent.objects.exclude(kind="audit.pruned").get() == young


@pytest.mark.both
def test_more_events_than_a_part_go_too(
    db: None, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "PART", 3)
    for days in range(400, 410):
        audit.record("sign_out", by=OPERATOR, at=now - timedelta(days=days))

    assert retention.prune(before=now - timedelta(days=365), by=OPERATOR, at=now) == 10
    assert AuditEvent.objects.get().details["count"] == 10


def test_pruning_leaves_an_event_that_tells_what_went(event: AuditEvent, now: datetime) -> None:
    before = now - timedelta(days=365)

    retention.prune(before=before, by=OPERATOR, at=now)

    told = AuditEvent.objects.get()
    assert (told.kind, told.through, told.at) == ("audit.pruned", "command", now)
    assert told.details == {"before": before.isoformat(), "count": 1}


@pytest.mark.both
def test_the_event_of_a_pruning_is_never_pruned(event: AuditEvent, now: datetime) -> None:
    retention.prune(before=now - timedelta(days=365), by=OPERATOR, at=now)
    later = now + timedelta(days=4000)

    assert retention.prune(before=later - timedelta(days=365), by=OPERATOR, at=later) == 0
    AuditPruning.objects.create(before=later)
    with pytest.raises(DatabaseError), transaction.atomic():
        sql(f"DELETE FROM {TABLE}")
    assert AuditEvent.objects.get().kind == "audit.pruned"


def test_pruning_is_idempotent(event: AuditEvent, now: datetime) -> None:
    for _time in range(2):
        retention.prune(before=now - timedelta(days=365), by=OPERATOR, at=now)

    assert AuditEvent.objects.count() == 1


@pytest.mark.both
def test_leave_to_delete_ends_with_the_pruning(event: AuditEvent, now: datetime) -> None:
    retention.prune(before=now - timedelta(days=365), by=OPERATOR, at=now)
    audit.record("sign_out", by=OPERATOR, at=now - timedelta(days=500))

    with pytest.raises(DatabaseError), transaction.atomic():
        sql(f"DELETE FROM {TABLE}")

    assert not AuditPruning.objects.exists()


def test_events_of_this_month_are_not_pruned(event: AuditEvent, now: datetime) -> None:
    with pytest.raises(ValidationError, match="last 30 days"):
        retention.prune(before=now - timedelta(days=29), by=OPERATOR, at=now)

    assert AuditEvent.objects.get() == event


def test_an_administrator_does_not_prune(administrator: Membership, event: AuditEvent) -> None:
    now = event.at + timedelta(days=400)
    with pytest.raises(PermissionDenied):
        retention.prune(before=now - timedelta(days=365), by=Actor.member(administrator), at=now)

    assert AuditEvent.objects.get() == event


def test_command_deletes_what_is_old_and_says_how_many(
    event: AuditEvent, capsys: pytest.CaptureFixture[str]
) -> None:
    call_command("prune_audit", "--older-than=365d")

    assert capsys.readouterr().out == "Deleted audit events: 1.\n"


def test_command_shows_on_a_terminal_how_far_it_is(
    db: None, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Terminal(StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setattr(retention, "PART", 3)
    monkeypatch.setattr("accounts.management.progress.EVERY_SECONDS", 0)
    for days in range(400, 410):
        audit.record("sign_out", by=OPERATOR, at=now - timedelta(days=days))
    terminal = Terminal()

    call_command("prune_audit", "--older-than=365d", stdout=StringIO(), stderr=terminal)

    shown = terminal.getvalue()
    assert re.search(r"\rDeleting audit events: 6 of 10 \(60%\), about \d+ s left", shown)
    assert shown.endswith("\r")


@pytest.mark.parametrize(
    "age", ["", "0", "-1", "1.5", "36526", "many", "365 days", "٣٦٥", "1d1d", "29d"]
)
def test_command_refuses_an_age_that_makes_no_sense(event: AuditEvent, age: str) -> None:
    with pytest.raises(CommandError):
        call_command("prune_audit", f"--older-than={age}")

    assert AuditEvent.objects.get() == event
