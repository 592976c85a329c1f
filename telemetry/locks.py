"""Locks on files that say of a process, to others of its machine, that it lives."""

import fcntl
from pathlib import Path


def is_held(file: Path) -> bool:
    """True while the process that has locked it lives; also where locks cannot be asked for."""
    try:
        with file.open() as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except OSError:
        return True
    return False
