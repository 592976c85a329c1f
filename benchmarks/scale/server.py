"""The PostgreSQL that is measured: Debian's where it is installed, which has pg_trgm as most have;
else that of the wheel, which has no extensions."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests import services

DEBIAN = Path("/usr/lib/postgresql")
METRICS = "measuring-the-metrics-of-this-portal"
"""The value of METRICS_TOKEN."""
OWNER = "postgres"
"""Who runs it if we are root, as whom PostgreSQL refuses to run."""


@contextmanager
def postgresql() -> Iterator[str]:
    """Run PostgreSQL on a socket in a temporary folder; yields its DATABASE_URL."""
    programs = newest_of_debian()
    if programs is None:
        with services.postgresql() as url:
            yield url
        return
    with tempfile.TemporaryDirectory(prefix="permatoken-bench-postgresql-") as folder:
        if os.geteuid() == 0:
            shutil.chown(folder, OWNER)
        data = Path(folder, "data")
        _run([programs / "initdb", "-D", data, "-U", OWNER, "-A", "trust", "-E", "UTF8"])
        options = f"-c listen_addresses= -c unix_socket_directories={folder}"
        log = Path(folder, "log")
        _run([programs / "pg_ctl", "-D", data, "-w", "-l", log, "-o", options, "start"])
        try:
            yield f"postgresql://{OWNER}@/postgres?host={folder}"
        finally:
            _run([programs / "pg_ctl", "-D", data, "-w", "-m", "immediate", "stop"])


def newest_of_debian() -> Path | None:
    """The folder of its programs, if it is installed."""
    found = [each.parent for each in DEBIAN.glob("*/bin/initdb") if each.parts[-3].isdecimal()]
    return max(found, key=lambda folder: int(folder.parts[-2]), default=None)


def _run(command: Sequence[str | Path]) -> None:
    words = [str(word) for word in command]
    user = OWNER if os.geteuid() == 0 else None
    subprocess.run(words, check=True, user=user, stdout=subprocess.DEVNULL, cwd="/")
