"""Shows that a worker or a beat is alive: it touches a file in DATA_DIR, and a probe looks at it.

    python -m operations.probes.alive worker

ends with 0 while a worker of this DATA_DIR has shown itself lately, else with 1 and a sentence. It
needs neither Django nor the broker: a probe may cost nothing, and must not restart a worker because
Redis is away.
"""

import contextlib
import os
import socket
import sys
import time
from pathlib import Path

FRESH_SECONDS = 60
"""Beats show themselves each time that they look at the schedule, workers every few seconds."""
KINDS = ("worker", "beat")
_FORGOTTEN_SECONDS = 24 * 3600
ROOT = Path(__file__).resolve().parents[2]


class Sign:
    """The file of one process."""

    def __init__(self, data_dir: Path, kind: str) -> None:
        name = f"{kind}-{socket.gethostname()}-{os.getpid()}"
        self._path = data_dir / "alive" / name

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
    """How long ago a process of this kind has shown itself; None if none has."""
    shown = [_touched_at(file) for file in (data_dir / "alive").glob(f"{kind}-*")]
    return max(0.0, time.time() - max(shown)) if shown else None


def main(words: list[str]) -> int:
    """The exit code; 2 for a wrong call."""
    if len(words) != 1 or words[0] not in KINDS:
        sys.stderr.write("Say which: python -m operations.probes.alive worker (or beat)\n")
        return 2
    (kind,) = words
    data_dir = Path(os.environ.get("DATA_DIR") or ROOT / "var").expanduser()
    since = seconds_since(data_dir, kind)
    if since is None:
        sys.stderr.write(f"No {kind} has shown itself in {data_dir / 'alive'}.\n")
        return 1
    sys.stdout.write(f"A {kind} has shown itself {since:.0f} seconds ago.\n")
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
