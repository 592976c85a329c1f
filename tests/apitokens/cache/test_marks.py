"""Marks in memory that processes share, and what is kept where they cannot share any."""

import os
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest
from pytest_django import Settings

from apitokens.cache import marks as marks_module
from apitokens.cache.lease_cache import ReadLeaseCache
from apitokens.cache.marks import Marks, in_file, in_own_memory

CHANGE = """
import sys
from pathlib import Path
import django
django.setup()
from apitokens.cache.marks import in_file
known = in_file(Path(sys.argv[1]))
known.change([77])
print(known.host_id)
"""


def cache_on(marks: Marks) -> ReadLeaseCache[str]:
    cache: ReadLeaseCache[str] = ReadLeaseCache(
        most=10, find_marks=lambda: (marks.tokens, float("inf"))
    )
    for row_id in (77, 78, 77 + 4096):
        cache.keep(row_id, "good", cache.begin(row_id), seconds=60)
    return cache


def test_change_by_another_process_ends_what_is_cached_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "marks"
    marks = in_file(path)
    cache = cache_on(marks)
    done = subprocess.run(
        [sys.executable, "-c", CHANGE, str(path)], check=True, capture_output=True, text=True
    )
    assert [cache.find(row_id) for row_id in (77, 78, 77 + 4096)] == [None, "good", None]
    assert int(done.stdout) == marks.host_id


def test_read_that_began_before_the_change_is_not_kept(tmp_path: Path) -> None:
    marks = in_file(tmp_path / "marks")
    cache = cache_on(marks)
    reading = cache.begin(77)
    in_file(tmp_path / "marks").change([77])
    cache.keep(77, "good", reading, seconds=60)
    assert cache.find(77) is None


def test_lease_ends_with_the_trust_in_the_hosts_row() -> None:
    marks = in_own_memory()
    cache: ReadLeaseCache[str] = ReadLeaseCache(most=10, find_marks=lambda: (marks.tokens, 0))
    cache.keep(77, "good", cache.begin(77), seconds=60)
    assert cache.find(77) is None


def test_verifier_keys_have_marks_of_their_own(tmp_path: Path) -> None:
    marks = in_file(tmp_path / "marks")
    before = list(marks.tokens)
    marks.change([4096 + 5])
    assert list(marks.tokens) == before
    assert marks.verifiers[5] != 0


def test_file_is_for_its_owner_alone_and_takes_its_room_at_once(tmp_path: Path) -> None:
    in_file(tmp_path / "marks")
    status = (tmp_path / "marks").stat()
    assert (status.st_mode & 0o777, status.st_size) == (0o600, 8 * (8 + 4096 + 512))
    assert status.st_blocks * 512 >= status.st_size


def test_files_of_former_boots_go_and_those_in_use_stay(tmp_path: Path) -> None:
    names = [f"{marks_module._PREFIX}{name}" for name in ("old", "used", "own")]
    (tmp_path / names[0]).write_bytes(b"")
    in_file(tmp_path / names[1])
    in_file(tmp_path / names[2])
    kept = {path.name for path in tmp_path.glob(f"{marks_module._PREFIX}*")}
    assert kept == {*names[1:], f"{marks_module._PREFIX}lock"}


def test_forked_child_shares_no_memory_of_its_parents_own(monkeypatch: pytest.MonkeyPatch) -> None:
    own = in_own_memory()
    monkeypatch.setattr(marks_module, "_opened", {"database": own})
    child = os.fork()
    if child == 0:
        os._exit(0 if marks_module._opened["database"].host_id != own.host_id else 1)
    assert os.waitpid(child, 0)[1] == 0


def test_sqlite_that_is_missing_gets_no_file_and_is_tried_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = tmp_path / "permatoken.sqlite3"
    here = Connection({"NAME": str(database)})
    now = [100.0]
    monkeypatch.setattr(marks_module, "connection", here)
    monkeypatch.setattr(marks_module, "clock", lambda: now[0])
    assert not marks_module.marks().is_shared
    assert list(tmp_path.iterdir()) == []
    database.touch()
    assert not marks_module.marks().is_shared
    now[0] += marks_module.RETRIED_AFTER
    assert marks_module.marks().is_shared


def test_one_folder_has_one_file_by_whatever_path(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A container sees it by another path than a command beside it."""
    folder, moved = tmp_path / "data", tmp_path / "elsewhere"
    folder.mkdir()
    (folder / "permatoken.sqlite3").touch()
    found = set[int]()
    for seen in (folder, moved):
        if seen == moved:
            folder.rename(moved)  # as a mount of it
        here = Connection({"NAME": str(seen / "permatoken.sqlite3")})
        monkeypatch.setattr(marks_module, "connection", here)
        found.add(marks_module.marks().host_id)
    assert len(found) == 1


@pytest.mark.parametrize("vendor", ["sqlite", "postgresql"])
def test_row_is_of_this_boot_or_of_one_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: Settings, vendor: str
) -> None:
    """A file would last, and with it the trust in a row, by a clock that has begun anew."""
    settings.DATA_DIR = tmp_path
    (tmp_path / "permatoken.sqlite3").touch()
    here = Connection({"NAME": str(tmp_path / "permatoken.sqlite3")}, vendor)
    monkeypatch.setattr(marks_module, "connection", here)
    monkeypatch.setattr(marks_module, "BOOT_ID", tmp_path / "nowhere")
    assert marks_module.marks().is_shared is (vendor == "sqlite")


class Connection(NamedTuple):
    """As much of a connection to SQLite as is looked at."""

    settings_dict: dict[str, str]
    vendor: str = "sqlite"
