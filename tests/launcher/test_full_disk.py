"""A start on a disk that is really full, or gets full on the way, says so in one sentence."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.launcher.portal import ROOT, environment_of

MIB = 1 << 20
SENTENCE = "There is no room left on the disk of DATA_DIR {}. Make room, then start again."


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of eight megabytes, whose files nobody has to sync. It takes root; without it
    tests/config/launcher/test_full_disk.py has the faults alone."""
    place = tmp_path / "disk"
    place.mkdir()
    if os.geteuid() != 0:
        pytest.skip("only root can mount a small disk; the faults themselves are tested beside")
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", place], capture_output=True, text=True
    )
    if mounted.returncode:
        pytest.skip(f"a small disk cannot be mounted here: {mounted.stderr}")
    yield place
    subprocess.run(["umount", "--lazy", place], check=True)


def fill(disk: Path, *, but: int) -> None:
    """Leave room for so many bytes."""
    stat = os.statvfs(disk)
    with (disk / "filler").open("wb") as filler:
        filler.write(bytes(stat.f_bavail * stat.f_frsize - but))


@pytest.mark.parametrize("room", [0, MIB // 2, 2 * MIB, 4 * MIB])
def test_full_disk_is_said_wherever_a_first_start_comes_upon_it(
    small_disk: Path, port: int, room: int
) -> None:
    fill(small_disk, but=room)

    done = subprocess.run(
        [sys.executable, "-m", "config.launcher"],
        cwd=ROOT,
        env=environment_of(small_disk / "var", port=port),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
    )

    assert done.returncode == 1, done.stderr
    assert done.stderr.splitlines()[-1] == SENTENCE.format(small_disk / "var"), done.stderr
    assert "Traceback" not in done.stdout + done.stderr
