"""The cache of the embedded shape: what rate limits and locks rely on."""

import multiprocessing
import os
import time
from multiprocessing.synchronize import Barrier
from pathlib import Path

import pytest
from django.conf import settings

from config.file_cache import SharedFileCache

PROCESSES, KEYS = 8, 100
fork = multiprocessing.get_context("fork")


def add_all(directory: str, barrier: Barrier, won: "multiprocessing.Queue[int]") -> None:
    cache = SharedFileCache(directory, {})
    for number in range(KEYS):
        barrier.wait(30)
        if cache.add(f"key-{number}", os.getpid(), 60):
            won.put(number)


def test_portal_uses_it() -> None:
    assert settings.CACHES["default"]["BACKEND"] == "config.file_cache.SharedFileCache"


def test_of_all_processes_that_add_a_key_at_once_one_does(tmp_path: Path) -> None:
    barrier, won = fork.Barrier(PROCESSES), fork.Queue()
    crowd = [
        fork.Process(target=add_all, args=(str(tmp_path), barrier, won)) for _ in range(PROCESSES)
    ]
    for process in crowd:
        process.start()
    winners = [won.get(timeout=60) for _ in range(KEYS)]
    for process in crowd:
        process.join(60)
        assert process.exitcode == 0
    assert sorted(winners) == list(range(KEYS))
    assert won.empty()


def test_key_that_has_expired_can_be_added_again(tmp_path: Path) -> None:
    cache = SharedFileCache(str(tmp_path), {})
    assert cache.add("key", 1, 0.05)
    assert not cache.add("key", 2, 60)
    time.sleep(0.06)
    assert cache.add("key", 2, 60)


def test_making_room_takes_what_has_expired_and_leaves_the_rest(tmp_path: Path) -> None:
    cache = SharedFileCache(str(tmp_path), {"max_entries": 10})
    for number in range(6):
        cache.set(f"old-{number}", 1, 0.01)
    for number in range(4):
        cache.set(f"living-{number}", 1, 60)
    time.sleep(0.02)
    cache.set("new", 1, 60)
    assert [cache.get(f"living-{number}") for number in range(4)] == [1] * 4
    assert len(list(tmp_path.glob("*.djcache"))) == 5


def test_there_is_room_even_when_nothing_has_expired(tmp_path: Path) -> None:
    cache = SharedFileCache(str(tmp_path), {"max_entries": 10})
    for number in range(50):
        cache.set(f"key-{number}", 1, 60)
    assert len(list(tmp_path.glob("*.djcache"))) <= 10


@pytest.mark.parametrize("key", ["plain", "ключ", "../../etc/passwd", "x" * 200])
def test_any_key_stays_in_its_directory(tmp_path: Path, key: str) -> None:
    cache = SharedFileCache(str(tmp_path / "cache"), {})
    assert cache.add(key, 1, 60)
    assert [path.name for path in tmp_path.iterdir()] == ["cache"]
