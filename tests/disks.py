"""A small disk, which gets really full."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def mounted(place: Path) -> Iterator[Path]:
    """A file system of 64 megabytes, in memory. It takes root: without it the test is skipped."""
    place.mkdir()
    if os.geteuid() != 0:
        pytest.skip("only root can mount a small disk; the faults themselves are tested beside")
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", place], capture_output=True, text=True
    )
    if done.returncode:
        pytest.skip(f"a small disk cannot be mounted here: {done.stderr}")
    try:
        yield place
    finally:
        subprocess.run(["umount", "--lazy", place], check=True)


def fill(disk: Path, *, but: int) -> None:
    """Leave room for so many bytes."""
    stat = os.statvfs(disk)
    with (disk / "filler").open("wb") as filler:
        filler.write(bytes(stat.f_bavail * stat.f_frsize - but))
