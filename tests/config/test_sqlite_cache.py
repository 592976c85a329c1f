"""The cache of the embedded shape: what rate limits and locks rely on."""

import os
import sqlite3
import stat
import threading
from contextlib import closing
from itertools import chain
from multiprocessing.synchronize import Barrier
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from time_machine import TimeMachineFixture

from config import sqlite_cache
from config.sqlite_cache import SQLiteCache
from tests.forking import PATIENCE, at_once, in_new_process

PROCESSES, KEYS, COUNTS = 8, 100, 50


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "cache" / "cache.sqlite3"


@pytest.fixture
def cache(path: Path, monkeypatch: pytest.MonkeyPatch) -> SQLiteCache:
    monkeypatch.setattr(sqlite_cache, "BUSY_TIMEOUT", PATIENCE)
    return SQLiteCache(path, {})


def rows(path: Path) -> int:
    with closing(sqlite3.connect(path)) as connection:
        return int(connection.execute("SELECT count(*) FROM entry").fetchone()[0])


def add_all(cache: SQLiteCache, barrier: Barrier) -> list[int]:
    won = []
    for number in range(KEYS):
        barrier.wait(PATIENCE)
        if cache.add(f"key-{number}", os.getpid(), 60):
            won.append(number)
    return won


def count_up(cache: SQLiteCache, barrier: Barrier) -> list[int]:
    barrier.wait(PATIENCE)
    return [cache.incr("count") for _ in range(COUNTS)]


def patient_cache(path: Path) -> SQLiteCache:
    """In a process that ends with the test."""
    sqlite_cache.BUSY_TIMEOUT = PATIENCE
    return SQLiteCache(path, {})


def add_in_many(path: Path) -> list[int]:
    return list(chain.from_iterable(at_once(add_all, PROCESSES, patient_cache(path))))


def count_in_many(path: Path) -> tuple[list[int], int]:
    """What the processes counted, and what the one that forked them counts after that."""
    cache = patient_cache(path)
    cache.set("count", 0, 60)
    heard = list(chain.from_iterable(at_once(count_up, PROCESSES, cache)))
    return heard, cache.incr("count")


# --- Between processes ---


def test_portal_uses_it() -> None:
    assert settings.CACHES["default"]["BACKEND"] == "config.sqlite_cache.SQLiteCache"


def test_of_all_processes_that_add_a_key_at_once_one_does(path: Path) -> None:
    """The file is made by the first of them, too."""
    assert sorted(in_new_process(add_in_many, path)) == list(range(KEYS))


def test_no_count_of_any_process_is_lost(path: Path) -> None:
    """Nor does a child share the connection of its parent."""
    heard, count = in_new_process(count_in_many, path)

    assert sorted(heard) == list(range(1, PROCESSES * COUNTS + 1))
    assert count == PROCESSES * COUNTS + 1


def test_threads_can_share_one_cache(cache: SQLiteCache) -> None:
    cache.set("count", 0, 60)
    threads = [
        threading.Thread(target=lambda: [cache.incr("count") for _ in range(COUNTS)])
        for _ in range(PROCESSES)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert cache.get("count") == PROCESSES * COUNTS


def test_who_finds_it_locked_for_long_hears_so(
    cache: SQLiteCache, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite_cache, "BUSY_TIMEOUT", 0.1)
    cache.set("key", 1, 60)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")

        with pytest.raises(sqlite3.OperationalError, match="locked"):
            cache.add("another", 1, 60)

        assert cache.get("key") == 1
    assert cache.add("another", 1, 60)


@pytest.mark.parametrize("is_open", [True, False])
def test_damaged_file_begins_anew(
    cache: SQLiteCache, path: Path, is_open: bool, caplog: pytest.LogCaptureFixture
) -> None:
    for number in range(500):
        cache.set(f"key-{number}", "x" * 200, 60)
    with closing(sqlite3.connect(path)) as other:
        other.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    with path.open("r+b") as file:
        file.seek(0 if is_open else 4_096)
        file.write(b"garbage " * 4_096)
    another = cache if is_open else SQLiteCache(path, {})

    assert another.add("limit", 0, 60)
    assert another.incr("limit") == 1
    assert another.get("limit") == cache.get("limit") == 1  # who had it open sees the new one
    assert caplog.text.count("begins anew.") == 1


# --- One caller ---


@pytest.mark.parametrize("value", [0, 1, 1.5, "text", "", None, True, [1.5, 2.5], {"a": [1]}])
def test_value_comes_back(cache: SQLiteCache, value: Any) -> None:
    cache.set("key", value, 60)
    assert cache.get("key", "another") == value


def test_what_json_cannot_say_is_refused(cache: SQLiteCache) -> None:
    with pytest.raises(TypeError):
        cache.set("key", object(), 60)
    assert cache.get("key") is None


def test_key_that_has_expired_can_be_added_again(
    cache: SQLiteCache, time_machine: TimeMachineFixture
) -> None:
    time_machine.move_to(1_000_000, tick=False)
    assert cache.add("key", 1, 5)
    assert not cache.add("key", 2, 60)
    time_machine.move_to(1_000_005, tick=False)
    assert cache.get("key") is None
    assert cache.add("key", 2, 60)
    assert cache.get("key") == 2


def test_count_keeps_its_time(cache: SQLiteCache, time_machine: TimeMachineFixture) -> None:
    time_machine.move_to(1_000_000, tick=False)
    cache.set("count", 0, 60)
    time_machine.move_to(1_000_059, tick=False)
    assert cache.incr("count", 5) == 5
    assert cache.decr("count", 2) == 3
    time_machine.move_to(1_000_060, tick=False)
    with pytest.raises(ValueError, match="not found"):
        cache.incr("count")


def test_failed_count_holds_nothing_up(cache: SQLiteCache) -> None:
    cache.set("text", "text", 60)
    with pytest.raises(TypeError):
        cache.incr("text")
    assert cache.add("key", 1, 60)


def test_time_can_be_prolonged(cache: SQLiteCache, time_machine: TimeMachineFixture) -> None:
    time_machine.move_to(1_000_000, tick=False)
    cache.set("key", 1, 10)
    assert cache.touch("key", 60)
    assert not cache.touch("other", 60)
    time_machine.move_to(1_000_059, tick=False)
    assert cache.get("key") == 1


def test_without_a_timeout_a_key_stays(
    cache: SQLiteCache, time_machine: TimeMachineFixture
) -> None:
    cache.set("key", 1, None)
    time_machine.move_to(4_000_000_000, tick=False)
    assert cache.get("key") == 1


def test_many_are_read_at_once(cache: SQLiteCache) -> None:
    cache.set_many({"a": 1, "b": 2})
    assert cache.get_many(["a", "b", "c"]) == {"a": 1, "b": 2}
    assert cache.get_many([]) == {}


def test_keys_are_deleted(cache: SQLiteCache) -> None:
    cache.set_many({"a": 1, "b": 2, "c": 3})
    assert cache.delete("a")
    assert not cache.delete("a")
    cache.delete_many(["b"])
    assert cache.get_many(["a", "b", "c"]) == {"c": 3}
    cache.clear()
    assert "c" not in cache


@pytest.mark.parametrize(
    "key", ["plain", "ключ", "../../etc/passwd", "x" * 200, "';DROP/**/TABLE/**/entry;--"]
)
def test_any_key_is_a_key(cache: SQLiteCache, key: str) -> None:
    assert cache.add(key, 1, 60)
    assert not cache.add(key, 2, 60)
    assert cache.get(key) == 1


# --- Room ---


@pytest.fixture
def cull_at_every_write(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sqlite_cache, "WRITES_PER_CULL", 1)


@pytest.mark.usefixtures("cull_at_every_write")
def test_making_room_takes_what_has_expired_and_leaves_the_rest(
    path: Path, time_machine: TimeMachineFixture
) -> None:
    time_machine.move_to(1_000_000, tick=False)
    cache = SQLiteCache(path, {"max_entries": 10})
    for number in range(6):
        cache.set(f"old-{number}", 1, 5)
    for number in range(4):
        cache.set(f"living-{number}", 1, 60)
    time_machine.move_to(1_000_005, tick=False)
    cache.set("new", 1, 60)
    assert [cache.get(f"living-{number}") for number in range(4)] == [1] * 4
    assert rows(path) == 5


@pytest.mark.usefixtures("cull_at_every_write")
def test_there_is_room_even_when_nothing_has_expired(path: Path) -> None:
    cache = SQLiteCache(path, {"max_entries": 10})
    for number in range(50):
        cache.set(f"key-{number}", 1, 60)
    assert rows(path) <= 10


def test_writes_between_look_for_no_room(path: Path) -> None:
    cache = SQLiteCache(path, {"max_entries": 10})
    for number in range(sqlite_cache.WRITES_PER_CULL):
        cache.set(f"key-{number}", 1, 60)
    assert rows(path) == sqlite_cache.WRITES_PER_CULL
    cache.set("last", 1, 60)
    assert rows(path) < sqlite_cache.WRITES_PER_CULL


# --- Files ---


def test_only_the_owner_can_read_it(cache: SQLiteCache, path: Path) -> None:
    cache.set("key", 1, 60)
    files = list(path.parent.iterdir())
    assert path in files
    assert [stat.S_IMODE(file.stat().st_mode) for file in files] == [0o600] * len(files)
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


def test_value_that_somebody_planted_runs_no_code(cache: SQLiteCache, path: Path) -> None:
    cache.set("key", 1, 60)
    with closing(sqlite3.connect(path)) as other, other:
        other.execute("UPDATE entry SET value = 'cos\nsystem\n(S''true''\ntR.'")
    with pytest.raises(ValueError, match="Expecting value"):
        cache.get("key")
