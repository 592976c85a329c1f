"""The environment that the portal is tested in. pytest loads this before Django reads its settings.

Every process (each worker of pytest-xdist is one) has a data directory of its own, which is gone
afterwards. What the developer has set for a portal of their own is dropped: tests must not write
into that one's database. TEST_DATABASE_URL and TEST_REDIS_URL choose the scaled shape instead of
the embedded one.
"""

import atexit
import os
import shutil
import tempfile
from pathlib import Path
from urllib.parse import urlsplit

from config.env.variables import CREDENTIALS, FILES, FORMER_NAMES, VARIABLES


def forget_own_portal() -> None:
    """Drop every variable that the portal reads."""
    for name in (*VARIABLES, *FILES, CREDENTIALS, *FORMER_NAMES):
        os.environ.pop(name, None)


def worker_number() -> int:
    """0 without pytest-xdist and for its first worker, 1 for the second, and so on."""
    return int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))


def numbered_redis(url: str) -> str:
    """The address of the worker's own Redis database; the one named in the URL is the first's."""
    parts = urlsplit(url)
    first = int(parts.path.strip("/") or 0)
    return parts._replace(path=f"/{first + worker_number()}").geturl()


def prepare() -> Path:
    """Set the environment and return the data directory, which is new and empty."""
    forget_own_portal()
    os.environ["DJANGO_SETTINGS_MODULE"] = "config.settings"
    data_dir = Path(tempfile.mkdtemp(prefix="permatoken-tests-"))
    os.environ["DATA_DIR"] = str(data_dir)
    (data_dir / "static").mkdir()
    if database := os.environ.get("TEST_DATABASE_URL"):
        os.environ["DATABASE_URL"] = database
    if redis := os.environ.get("TEST_REDIS_URL"):
        os.environ["REDIS_URL"] = numbered_redis(redis)
    return data_dir


DATA_DIR = prepare()
atexit.register(shutil.rmtree, DATA_DIR, ignore_errors=True)
