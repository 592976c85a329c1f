"""Shows that a worker or a beat is alive: it touches a file in DATA_DIR, and a probe looks at it.

    python -m operations.probes.alive worker

ends with 0 while all workers of this host and DATA_DIR have shown themselves lately, else with 1
and a sentence. Each holds a lock on its file as long as it lives, so one that was killed does not
count. It needs neither Django nor the broker: a probe may cost nothing, and must not restart a
worker because Redis is away.

Containers that share DATA_DIR have host names of their own. One must not answer for another.
"""

import contextlib
import fcntl
import os
import re
import secrets
import socket
import sys
import time
from collections.abc import Iterator
from pathlib import Path

from telemetry.locks import is_held

FRESH_SECONDS = 60
"""Beats show themselves each time that they look at the schedule, workers every few seconds."""
KINDS = ("worker", "beat")
_FORGOTTEN_SECONDS = 24 * 3600
ROOT = Path(__file__).resolve().parents[2]


class Sign:
    """The file of one process, with the lock that says that it lives."""

    def __init__(self, data_dir: Path, kind: str) -> None:
        self._folder, self._kind = data_dir / "alive", kind
        self.path = self._folder
        self._held: int | None = None
        os.register_at_fork(after_in_child=self._let_go)

    def show(self) -> None:
        """Touch the file. Needs no room on a disk once it is there; a disk that refuses is no
        reason to end."""
        with contextlib.suppress(OSError):
            if self._held is None or not self.path.exists():
                self._hold()
            os.utime(self.path)

    def remove(self) -> None:
        """The process ends."""
        if self._held is not None:
            path = self.path
            self._let_go()
            with contextlib.suppress(OSError):
                path.unlink(missing_ok=True)

    def _hold(self) -> None:
        """Make a file under a name that no other has had: numbers of processes come again."""
        self._let_go()
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        _forget_old(self._folder)
        name = f"{_here(self._kind)}{os.getpid()}-{secrets.token_hex(4)}"
        self.path = self._folder / name
        self._held = os.open(self.path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        with contextlib.suppress(OSError):  # a disk without locks: probes believe the file
            fcntl.flock(self._held, fcntl.LOCK_EX)

    def _let_go(self) -> None:
        """Close the file: here, or in a child, which must not hold the lock of its parent."""
        held, self._held = self._held, None
        if held is not None:
            os.close(held)


def seconds_since(data_dir: Path, kind: str) -> float | None:
    """How long ago each process of this kind and host has shown itself; None if there is none."""
    shown = [_touched_at(file) for file in _signs(data_dir, kind)]
    return max(0.0, time.time() - min(shown)) if shown else None


def _signs(data_dir: Path, kind: str) -> Iterator[Path]:
    """Those of processes of this host that have not ended."""
    own = re.compile(re.escape(_here(kind)) + r"\d+-[0-9a-f]{8}")
    for file in (data_dir / "alive").glob(f"{kind}-*"):
        if own.fullmatch(file.name) and is_held(file):
            yield file


def _here(kind: str) -> str:
    return f"{kind}-{socket.gethostname()}-"


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
