"""Programs from npm, each installed from the lock file of the folder that uses it."""

import fcntl
import hashlib
import shutil
import subprocess
import tempfile
from pathlib import Path


class Unavailable(Exception):
    """A program is not installed on this machine; the text says what to do."""


def install(folder: Path) -> None:
    """Install the packages of the folder's lock file, unless they are. Raises `Unavailable`."""
    wanted = hashlib.sha256((folder / "package-lock.json").read_bytes()).hexdigest()
    stamp = folder / "node_modules" / ".installed"
    name = hashlib.sha256(bytes(folder)).hexdigest()[:16]
    lock = Path(tempfile.gettempdir(), f"permatoken-npm-{name}.lock")
    with lock.open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)  # two workers of pytest must not install at once
        if stamp.exists() and stamp.read_text() == wanted:
            return
        _install(folder)
        stamp.write_text(wanted)


def program(name: str) -> str:
    """The path of node or npm."""
    path = shutil.which(name)
    if path is None:
        raise Unavailable(f"{name} is not on the PATH; get it with: apt-get install nodejs npm")
    return path


def _install(folder: Path) -> None:
    done = subprocess.run(
        [program("npm"), "ci", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error"],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=600,
    )
    if done.returncode:
        raise Unavailable(f"npm ci in tests/{folder.name} failed: {done.stderr.strip()}")
