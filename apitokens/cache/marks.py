"""Marks in memory that the processes of a host share: what is cached counts while its mark stands.

A mark is a random number, which is only ever compared. So nobody counts and nobody takes a lock:
of two that write the same mark at once either number ends what was cached before, and a process
that is killed or stopped keeps nobody waiting.

The processes share a file beside SQLite's database, or in `DATA_DIR`. Its name has the boot of the
machine and the database in it: two machines that share a folder over a network share no memory.
"""

import contextlib
import fcntl
import hashlib
import logging
import mmap
import os
import secrets
import threading
from collections.abc import Iterable
from pathlib import Path

from django.conf import settings
from django.db import connection

from apitokens.cache.lease_cache import clock, draw_mark

logger = logging.getLogger(__name__)

TOKEN_MARKS, VERIFIER_MARKS = 4_096, 512
"""Powers of two. Rows whose ids end in the same bits share a mark."""
_HEAD = 8
"""Numbers before the first mark."""
_HOST_ID, _TRUSTED_UNTIL, _RENEW_AT, _LEASE = range(4)
_NUMBERS = _HEAD + TOKEN_MARKS + VERIFIER_MARKS
_SIZE = 8 * _NUMBERS
RETRIED_AFTER = 10
"""Seconds."""
_BILLION = 1_000_000_000
_PREFIX = "verification-marks-"
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
"""Of Linux."""


class Marks:
    """The memory of this host. A process that cannot share any has memory of its own, and is a host
    by itself."""

    def __init__(self, memory: "mmap.mmap | bytearray", *, is_shared: bool) -> None:
        self._numbers = memoryview(memory).cast("Q")
        self.is_shared = is_shared
        self._made_at = clock()
        self.has_row = connection.vendor == "postgresql"
        self.all = memoryview(memory).cast("d")[_HEAD:]
        self.tokens, self.verifiers = self.all[:TOKEN_MARKS], self.all[TOKEN_MARKS:]

    @property
    def is_of_no_use(self) -> bool:
        """Whether nothing can be kept under them (SQLite), and it is time to try again."""
        return not (self.is_shared or self.has_row) and clock() >= self._made_at + RETRIED_AFTER

    @property
    def host_id(self) -> int:
        return int(self._numbers[_HOST_ID])

    def draw_host_id(self) -> None:
        self._numbers[_HOST_ID] = secrets.randbits(62) + 1

    def change(self, places: Iterable[int]) -> None:
        """End all that was cached under these marks, in all processes of the host."""
        for place in places:
            self.all[place] = draw_mark()

    # What the processes of the host know of its row, by the clock that they share: in nanoseconds.

    @property
    def trusted_until(self) -> float:
        """Until when leases may last, in seconds."""
        return float(self._numbers[_TRUSTED_UNTIL] / _BILLION)

    @property
    def lease(self) -> float:
        """The longest lease that the row tells of."""
        return float(self._numbers[_LEASE] / _BILLION)

    def take_renewal(self, now: float, *, again_in: float) -> bool:
        """True for the one that is to renew the row; the next one is after so many seconds."""
        if self._numbers[_RENEW_AT] > now * _BILLION:
            return False
        self._numbers[_RENEW_AT] = int((now + again_in) * _BILLION)
        return True

    def trust(self, *, until: float, lease: float, renew_at: float) -> None:
        self._numbers[_LEASE] = int(lease * _BILLION)
        self._numbers[_TRUSTED_UNTIL] = int(until * _BILLION)
        self._numbers[_RENEW_AT] = int(renew_at * _BILLION)

    def distrust(self) -> None:
        """Have the row written again before anything is kept."""
        self._numbers[_TRUSTED_UNTIL] = self._numbers[_RENEW_AT] = 0


def in_own_memory() -> Marks:
    """Marks that no other process sees."""
    marks = Marks(bytearray(_SIZE), is_shared=False)
    marks.draw_host_id()
    return marks


def in_file(path: Path) -> Marks:
    """The marks in this file, which is made if there is none. Raises `OSError`."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    lock_path = path.with_name(f"{_PREFIX}lock")
    with open(os.open(lock_path, os.O_RDWR | os.O_CREAT, 0o600), "rb") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        # Held as long as the process lives, so that nobody removes a file that is in use.
        fcntl.flock(descriptor, fcntl.LOCK_SH)
        if (size := os.fstat(descriptor).st_size) < _SIZE:
            # Written now: memory whose page finds no place on a full disk would kill the process.
            os.pwrite(descriptor, bytes(_SIZE - size), size)
        marks = Marks(mmap.mmap(descriptor, _SIZE), is_shared=True)
        if not marks.host_id:
            marks.draw_host_id()
        _remove_unused(path)
    return marks


def _remove_unused(used: Path) -> None:
    """Remove the files of former boots."""
    for path in used.parent.glob(f"{_PREFIX}*"):
        if path == used or path.name.endswith("lock"):
            continue
        with contextlib.suppress(OSError), path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            path.unlink()


def marks() -> Marks:
    """The marks of the host and of the database that this process uses."""
    name = connection.settings_dict["NAME"]
    found = _opened.get(name)
    if found is None or found.is_of_no_use:
        with _opening:
            found = _opened.get(name)
            if found is None or found.is_of_no_use:
                found = _opened[name] = _open()
    return found


def _open() -> Marks:
    database = connection.settings_dict
    is_sqlite = connection.vendor == "sqlite"
    known_boot = BOOT_ID.read_text() if BOOT_ID.exists() else ""
    if not (known_boot or is_sqlite):  # the clock of a row may be that of a former boot
        return in_own_memory()
    if is_sqlite:  # the same folder has another path in a container
        path = Path(database["NAME"]).resolve()
        folder, where = path.parent, path.name
    else:
        folder = Path(settings.DATA_DIR)
        where = "|".join(str(database.get(name) or "") for name in ("NAME", "HOST", "PORT"))
    file = f"{_PREFIX}{hashlib.sha256(f'{known_boot}|{where}'.encode()).hexdigest()[:16]}"
    try:
        if is_sqlite:
            os.stat(database["NAME"])  # where it is missing, its volume may be: leave nothing there
        return in_file(folder / file)
    except OSError as error:
        logger.warning("Processes can't share what they know of tokens in %s: %s", folder, error)
        return in_own_memory()


_opened: dict[object, Marks] = {}
"""By the name of the database."""
_opening = threading.Lock()


def _begin_anew_after_fork() -> None:
    """Shared memory stays shared; a child's own memory is no longer its parent's."""
    global _opening  # a lock that another thread of the parent may hold
    _opening = threading.Lock()
    for place, known in list(_opened.items()):
        if not known.is_shared:
            _opened[place] = in_own_memory()


os.register_at_fork(after_in_child=_begin_anew_after_fork)
