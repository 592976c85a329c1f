"""Shows that a worker or a beat is alive: it touches a file in DATA_DIR, and a probe looks at it.

    python -m operations.probes.alive worker

ends with 0 while all workers of this host and DATA_DIR have shown themselves lately, else with 1
and a sentence. One that was killed does not count. It needs neither Django nor the broker: a probe
may cost nothing, and must not restart a worker because Redis is away.

Containers that share DATA_DIR have host names of their own. One must not answer for another.
"""

import contextlib
import os
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path

FRESH_SECONDS = 60
"""Beats show themselves each time that they look at the schedule, workers every few seconds."""
KINDS = ("worker", "beat")
_FORGOTTEN_SECONDS = 24 * 3600
ROOT = Path(__file__).resolve().parents[2]


class Sign:
    """The file of one process."""

    def __init__(self, data_dir: Path, kind: str) -> None:
        self._path = data_dir / "alive" / f"{_here(kind)}{os.getpid()}"

    def show(self) -> None:
        """Touch the file. Needs no room on a disk once it is there; a disk that refuses is no
        reason to end."""
        with contextlib.suppress(OSError):
            if not self._path.exists():
                self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
                _forget_old(self._path.parent)
            self._path.touch(mode=0o600)

    def remove(self) -> None:
        """The process ends."""
        with contextlib.suppress(OSError):
            self._path.unlink(missing_ok=True)


def seconds_since(data_dir: Path, kind: str) -> float | None:
    """How long ago each process of this kind and host has shown itself; None if there is none."""
    shown = [_touched_at(file) for file in _signs(data_dir, kind)]
    return max(0.0, time.time() - min(shown)) if shown else None


def _signs(data_dir: Path, kind: str) -> Iterator[Path]:
    """Those of processes of this host that have not ended."""
    here = _here(kind)
    for file in (data_dir / "alive").glob(f"{kind}-*"):
        number = file.name.removeprefix(here)
        if number.isdecimal() and _is_running(int(number)):
            yield file


def _here(kind: str) -> str:
    return f"{kind}-{socket.gethostname()}-"


def _is_running(process: int) -> bool:
    """True for a process of Celery: the number may be another's by now."""
    try:
        words = Path(f"/proc/{process}/cmdline").read_bytes().split(b"\0")
        return any(word.rpartition(b"/")[2] == b"celery" for word in words)
    except OSError:
        return not Path("/proc/self").exists()  # not Linux: believe the file


def main(words: list[str]) -> int:
    """The exit code; 2 for a wrong call."""
    if len(words) != 1 or words[0] not in KINDS:
        sys.stderr.write("Say which: python -m operations.probes.alive worker (or beat)\n")
        return 2
    (kind,) = words
    data_dir = Path(os.environ.get("DATA_DIR") or ROOT / "var").expanduser()
    since = seconds_since(data_dir, kind)
    if since is None:
        sys.stderr.write(f"No {kind} of this host has shown itself in {data_dir / 'alive'}.\n")
        return 1
    sys.stdout.write(f"Each {kind} of this host has shown itself within {since:.0f} seconds.\n")
    return 0 if since <= FRESH_SECONDS else 1


def _touched_at(file: Path) -> float:
    try:
        return file.stat().st_mtime
    except OSError:
        return 0.0


def _forget_old(folder: Path) -> None:
    for file in folder.iterdir():
        if time.time() - _touched_at(file) > _FORGOTTEN_SECONDS:
            file.unlink(missing_ok=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
