"""What beat sends, and when."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import time_machine
from celery import Celery
from django.conf import settings

from config.beat_schedule import beat_schedule
from config.celery import Scheduler, app, make_folders

SCHEDULE = beat_schedule(notices_every=timedelta(seconds=45))


def test_portal_uses_it() -> None:
    every = timedelta(seconds=settings.NOTICES_EVERY_SECONDS)
    assert beat_schedule(notices_every=every) == settings.CELERY_BEAT_SCHEDULE


def test_no_name_comes_twice_and_every_task_is_there() -> None:
    app.loader.import_default_modules()
    tasks = [entry["task"] for entry in SCHEDULE.values()]
    assert sorted(tasks) == sorted(name for name in app.tasks if not name.startswith("celery."))


@pytest.mark.parametrize("name", SCHEDULE)
def test_no_message_expires_by_the_clock_of_another_machine(name: str) -> None:
    assert "expires" not in SCHEDULE[name]["options"]


@pytest.mark.parametrize("name", ["scan-expirations", "deliver-mails"])
def test_notices_are_looked_for_as_often_as_operators_say(name: str) -> None:
    assert SCHEDULE[name]["schedule"].run_every == timedelta(seconds=45)


@pytest.fixture
def scheduler(tmp_path: Path) -> Iterator[Scheduler]:
    """Beat's, with nothing to send to."""
    fresh = Celery(set_as_current=False)
    fresh.conf.update(broker_url="memory://", beat_schedule=SCHEDULE)
    made = Scheduler(fresh, schedule_filename=str(tmp_path / "schedule"), lazy=True)
    made.setup_schedule()
    yield made
    made.close()


def test_everything_goes_on_when_the_clock_is_set_back(
    scheduler: Scheduler, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[str] = []
    monkeypatch.setattr(scheduler, "apply_entry", lambda entry, **_: sent.append(entry.name))
    start = datetime(2026, 3, 1, 12, tzinfo=UTC)
    for at in (start, start + timedelta(days=1), start + timedelta(hours=19)):
        sent.clear()
        with time_machine.travel(at, tick=False):
            for _each in range(2 * len(SCHEDULE)):
                scheduler.tick()
    assert sorted(sent) == sorted(SCHEDULE)


def test_folder_of_its_file_is_made(tmp_path: Path) -> None:
    """Where the secrets are settings, nothing else may have made DATA_DIR."""
    fresh = Celery(set_as_current=False)
    fresh.conf.beat_schedule_filename = str(tmp_path / "data" / "schedule")

    make_folders(fresh)

    assert (tmp_path / "data").is_dir()
