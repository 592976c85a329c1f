"""The processes of a machine are counted together, also those that are gone."""

import json
import multiprocessing
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from telemetry import files, metrics

SAMPLE = "permatoken_verifications_total"


@pytest.fixture(autouse=True)
def own_counts(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(files, "writer", files.Writer())
    metrics.begin_anew()
    yield
    metrics.begin_anew()


def total(folder: Path, name: str = SAMPLE) -> float:
    found = files.all_processes(folder)
    return sum(each.value for family in found for each in family.samples if each.name == name)


def _serve(folder: Path, pipe: Any) -> None:
    """A process that counts as often as it is told."""
    metrics.begin_anew()
    files.writer = files.Writer()
    files.writer.start(folder)
    while (times := pipe.recv()) is not None:
        for _each in range(times):
            metrics.verifications.add("verify", "good", metrics.MEMORY, 0.00003)
        files.writer.write()
        pipe.send(times)


class Process:
    def __init__(self, folder: Path) -> None:
        context = multiprocessing.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        self.process = context.Process(target=_serve, args=(folder, theirs))
        self.process.start()

    def count(self, times: int) -> None:
        self.pipe.send(times)
        assert self.pipe.recv() == times

    def end(self) -> None:
        self.pipe.send(None)
        self.process.join()

    def kill(self) -> None:
        assert self.process.pid
        os.kill(self.process.pid, signal.SIGKILL)
        self.process.join()


def test_processes_are_added_up_and_none_is_lost_or_counted_twice(tmp_path: Path) -> None:
    one, other = Process(tmp_path), Process(tmp_path)
    one.count(3)
    other.count(4)
    assert total(tmp_path) == 7
    one.count(10)
    assert total(tmp_path) == 17

    other.kill()
    assert [total(tmp_path) for _again in range(3)] == [17, 17, 17]
    third = Process(tmp_path)
    third.count(100)
    assert total(tmp_path) == 117

    one.end()
    third.end()
    assert total(tmp_path) == 117
    assert total(tmp_path, "permatoken_verification_duration_seconds_count") == 117
    assert [file.name for file in tmp_path.glob("*.json")] == [files.GONE]
    assert {file.stat().st_mode & 0o077 for file in tmp_path.iterdir()} == {0}


def test_what_was_noted_is_counted_by_how_long_it_took(tmp_path: Path) -> None:
    """What takes as long as a bound says counts for it. Reading in between changes nothing."""
    durations = [7.0, 0.00003, 0.000025, 0.2, 0.0001, 0.00001, 0.000025]
    for each in durations:
        metrics.verifications.notes_of(("verify", "good", metrics.MEMORY)).append(each)
    list(metrics.verifications.collect())
    metrics.verifications.add("verify", "good", metrics.MEMORY, 0.0004)
    durations.append(0.0004)

    found = {
        each.labels["le"]: each.value
        for family in metrics.verifications.collect()
        for each in family.samples
        if each.labels.get("le") and each.labels["source"] == metrics.MEMORY
    }

    expected = {
        str(bound): sum(each <= bound for each in durations)
        for bound in metrics.VERIFICATION_BOUNDS
    }
    assert found == expected | {"+Inf": len(durations)}
    assert total(tmp_path) == len(durations)


def test_gauges_of_processes_that_are_gone_are_forgotten(tmp_path: Path) -> None:
    metrics.USAGE_WAITING.set(40)
    gone = tmp_path / "7-dead.json"
    written = files._read_own()
    gone.write_text(json.dumps(written))
    metrics.USAGE_WAITING.set(0)

    assert total(tmp_path, "permatoken_usage_waiting_seconds") == 0


def test_disk_that_refuses_stops_nobody_and_loses_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    writer = files.Writer()
    writer._folder = tmp_path / "file" / "metrics"
    metrics.verifications.add("verify", "good", metrics.MEMORY, 0.1)

    writer.write()

    writer._folder = tmp_path / "metrics"
    writer.write()
    files.writer = writer
    writer.is_started = True
    assert total(tmp_path / "metrics") == 1


def test_full_disk_loses_nothing_of_processes_that_are_gone(tmp_path: Path) -> None:
    """And `/metrics` is answered: what cannot be moved together is read where it is."""
    process = Process(tmp_path)
    process.count(3)
    process.kill()
    (tmp_path / "gone.draft").symlink_to("/dev/full")
    assert [total(tmp_path) for _again in range(2)] == [3, 3]

    (tmp_path / "gone.draft").unlink()
    assert [total(tmp_path) for _again in range(2)] == [3, 3]
    assert [file.name for file in tmp_path.glob("*.json")] == [files.GONE]


def test_folder_that_can_only_be_read_is_read(tmp_path: Path) -> None:
    process = Process(tmp_path)
    process.count(3)
    process.end()
    (tmp_path / "all").unlink()
    (tmp_path / "all").mkdir()  # it can't be opened, as on such a disk

    assert total(tmp_path) == 3


def test_forked_process_begins_with_nothing(tmp_path: Path) -> None:
    files.writer.start(tmp_path)
    metrics.verifications.add("verify", "good", metrics.MEMORY, 0.1)
    metrics.LIMITED.labels("sign-ins").inc()
    metrics.DATABASE_SECONDS.observe(1)
    files.writer.write()
    child = os.fork()
    if not child:
        files.writer.start(tmp_path)
        metrics.verifications.add("verify", "good", metrics.MEMORY, 0.1)
        files.writer.write()
        os._exit(0)
    os.waitpid(child, 0)

    assert total(tmp_path) == 2
    assert total(tmp_path, "permatoken_rate_limit_refusals_total") == 1
    assert total(tmp_path, "permatoken_database_statement_duration_seconds_count") == 1


def test_file_that_is_broken_is_left_out(tmp_path: Path) -> None:
    (tmp_path / "7-broken.json").write_text('[{"name": ')
    metrics.verifications.add("verify", "good", metrics.MEMORY, 0.1)
    assert total(tmp_path) == 1
