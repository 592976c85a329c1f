"""A start on a full disk says so in one sentence, wherever it comes up."""

import errno
from contextlib import nullcontext
from pathlib import Path

import pytest

from config.launcher import __main__ as launcher
from config.launcher import preflight
from config.launcher.preflight import NotReady


@pytest.fixture
def start(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> pytest.MonkeyPatch:
    """Nothing of a start but the step that a test puts in."""
    monkeypatch.setenv("DATA_DIR", str(tmp_path))
    monkeypatch.setattr(launcher, "ShutdownFlag", lambda: None)
    monkeypatch.setattr(
        launcher, "_read_config", lambda: launcher.ServerConfig("", 0, tmp_path, 1, 1)
    )
    monkeypatch.setattr(preflight, "lock_data_dir", lambda _path: nullcontext())
    return monkeypatch


def test_full_disk_is_said_when_files_are_written(
    start: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def collects(*_facts: object, **_options: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    start.setattr(launcher, "_prepare", collects)

    assert launcher.main() == 1
    assert capsys.readouterr().err == (
        f"There is no room left on the disk of DATA_DIR {tmp_path}. Make room, then start again.\n"
    )


def test_other_faults_are_not_hidden(start: pytest.MonkeyPatch) -> None:
    def fails(*_facts: object, **_options: object) -> None:
        raise FileNotFoundError

    start.setattr(launcher, "_prepare", fails)

    with pytest.raises(FileNotFoundError):
        launcher.main()


def test_full_disk_is_said_before_anything_is_written(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    class Full:
        """A file without room."""

        def __init__(self, **_facts: object) -> None: ...

        def __enter__(self) -> "Full":
            return self

        def __exit__(self, *_facts: object) -> None: ...

        def write(self, _content: bytes) -> int:
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("tempfile.TemporaryFile", Full)

    with pytest.raises(NotReady, match="no room left"):
        preflight.make_data_dir(tmp_path)
