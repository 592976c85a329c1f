"""A real PgBouncer in front of PostgreSQL, which shares connections by transaction."""

import os
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import psycopg

from tests.documentation.blocks import block_at
from tests.services import STARTED_WITHIN, free_port

PRINTED = {
    "permatoken = host=db.internal port=5432 dbname=permatoken": "* = host={host} user={user}",
    "10.0.0.5": "127.0.0.1",
    "6432": "{port}",
    "scram-sha-256": "trust",
    "/etc/pgbouncer/userlist.txt": "{users}\nunix_socket_dir =",
    "default_pool_size = 30": "default_pool_size = {servers}\nserver_round_robin = 1",
}
"""What docs/operations/more-than-one.md has for its readers, and what it is here."""


def pgbouncer_path() -> str | None:
    """Where PgBouncer is, or None. Debian keeps it where only root looks."""
    return shutil.which("pgbouncer", path=f"{os.environ.get('PATH', '')}:/usr/sbin")


@contextmanager
def pgbouncer(*, host: str, user: str, servers: int = 1) -> Iterator[int]:
    """Run PgBouncer in front of the server at this host; yields its port on this machine. As many
    connections to the server as it may have take turns by transaction."""
    port, program = free_port(), pgbouncer_path()
    assert program is not None
    with tempfile.TemporaryDirectory(prefix="permatoken-pgbouncer-") as folder:
        users, settings = Path(folder, "users"), Path(folder, "pgbouncer.ini")
        users.write_text(f'"{user}" ""\n')
        facts = {"host": host, "user": user, "port": str(port), "users": str(users)}
        facts["servers"] = str(servers)
        block = block_at("docs/operations/more-than-one.md: [databases]")
        settings.write_text(block.filled(PRINTED, facts))
        command = [program, "--quiet", str(settings)]
        if os.geteuid() == 0:  # it does not run as root, but as who may enter the socket's folder
            Path(folder).chmod(0o755)
            command[1:1] = ["--user", Path(host).owner() if host.startswith("/") else "nobody"]
        process = subprocess.Popen(command)
        try:
            _wait_for(port, user)
            yield port
        finally:
            process.terminate()
            process.wait()


def _wait_for(port: int, user: str) -> None:
    deadline = time.monotonic() + STARTED_WITHIN
    place: dict[str, Any] = {"host": "127.0.0.1", "port": port, "user": user, "dbname": "postgres"}
    while True:
        try:
            with closing(psycopg.connect(**place, connect_timeout=2)):
                return
        except psycopg.OperationalError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
