"""Secrets that are made on first start."""

import multiprocessing
import stat
from pathlib import Path
from threading import Barrier

import pytest

from config.env.secret_files import parse_fallbacks, read_or_make


def test_secret_is_made_on_first_start(tmp_path: Path) -> None:
    secret = read_or_make(tmp_path / "secret_key")

    assert len(bytes.fromhex(secret)) == 32


def test_secret_stays_the_same_from_then_on(tmp_path: Path) -> None:
    first = read_or_make(tmp_path / "secret_key")

    assert read_or_make(tmp_path / "secret_key") == first


def test_two_secrets_are_not_alike(tmp_path: Path) -> None:
    assert read_or_make(tmp_path / "one") != read_or_make(tmp_path / "two")


def test_secret_begins_with_the_prefix(tmp_path: Path) -> None:
    assert read_or_make(tmp_path / "token_peppers", prefix="1:").startswith("1:")


def test_only_the_owner_can_read_the_secret_and_its_folder(tmp_path: Path) -> None:
    read_or_make(tmp_path / "var" / "secret_key")

    assert stat.S_IMODE((tmp_path / "var" / "secret_key").stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "var").stat().st_mode) == 0o700


def test_secret_of_the_operator_is_taken_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "secret_key").write_text("chosen by hand\n")

    assert read_or_make(tmp_path / "secret_key") == "chosen by hand"


def test_former_keys_may_stand_in_a_list_or_one_in_each_line() -> None:
    for text in ("first-key,second-key", "first-key\nsecond-key", "first-key,\r\nsecond-key"):
        assert {"first-key", "second-key"} <= set(parse_fallbacks(text))


def test_place_that_is_no_folder_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(NotADirectoryError):
        read_or_make(tmp_path / "file" / "secret_key")


def test_twenty_processes_that_start_at_once_agree_on_one_secret(tmp_path: Path) -> None:
    path = tmp_path / "secret_key"
    context = multiprocessing.get_context("spawn")
    with context.Manager() as manager, context.Pool(20) as pool:
        gate = manager.Barrier(20)
        secrets = pool.starmap(_read_when_all_are_there, [(path, gate)] * 20, chunksize=1)

    assert len(set(secrets)) == 1
    assert [file.name for file in tmp_path.iterdir()] == ["secret_key"]


def _read_when_all_are_there(path: Path, gate: Barrier) -> str:
    gate.wait(timeout=60)
    return read_or_make(path)
