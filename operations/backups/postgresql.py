"""Dumps, reads back and puts back a database of PostgreSQL, by its own programs."""

import os
import re
import shutil
import subprocess
from pathlib import Path

from django.db import connection
from psycopg import conninfo

from operations.backups.archive import BackupError

NAME = "database.dump"
_MAJOR = re.compile(r"(\d+)[.\d]*")
_WIPE = "DROP SCHEMA public CASCADE; CREATE SCHEMA public;"
"""In the transaction that restores: tables of a newer release would be left over otherwise."""


def dump(target: Path) -> None:
    """Dump the database as it is at one moment. Nobody waits for it. Raises `BackupError`."""
    os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    _run(
        [
            *(_program("pg_dump"), "--format=custom", "--no-owner", "--no-privileges"),
            *("--lock-wait-timeout=60s", f"--file={target}", _address()),
        ],
        "Nothing was dumped",
    )
    with target.open("rb+") as file:
        os.fsync(file.fileno())


def read_back(path: Path) -> None:
    """Have all of it read and unpacked. Raises `BackupError`."""
    _run([_program("pg_restore"), f"--file={os.devnull}", str(path)], "The dump can't be read back")


def count(tables: list[str]) -> dict[str, int]:
    """Of the living database: a dump cannot be asked."""
    with connection.cursor() as cursor:
        found = {}
        for table in tables:
            cursor.execute(f'SELECT count(*) FROM "{table}"')  # noqa: S608  # names of models
            found[table] = cursor.fetchone()[0]
    return found


def who_uses_it() -> str:
    """Who is connected to the database, in words; empty if nobody is."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT coalesce(nullif(application_name, ''), usename::text, '?'), count(*)"
            " FROM pg_stat_activity WHERE datname = current_database()"
            " AND pid <> pg_backend_pid() AND backend_type = 'client backend'"
            " GROUP BY 1 ORDER BY 2 DESC"
        )
        return ", ".join(f"{number} × {name}" for name, number in cursor.fetchall())


def put_back(source: Path) -> str:
    """Restore in one transaction, which leaves all as it was if anything fails."""
    connection.close()
    script = source.with_suffix(".sql")
    try:
        _run(
            [
                *(_program("pg_restore"), "--no-owner", "--no-privileges"),
                *(f"--file={script}", str(source)),
            ],
            "Nothing was restored",
        )
        _run(
            [
                *(_program("psql"), "--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1"),
                *("--single-transaction", f"--command={_WIPE}", f"--file={script}"),
                *("--output", os.devnull, _address()),
            ],
            "Nothing was restored",
        )
    finally:
        script.unlink(missing_ok=True)
    return ""


def server() -> str:
    with connection.cursor() as cursor:
        cursor.execute("SHOW server_version")
        return str(cursor.fetchone()[0])


def _program(name: str) -> str:
    """Where PostgreSQL's program is (PATH says), if it is not older than the server. Raises
    `BackupError`."""
    found = shutil.which(name)
    if found is None:
        raise BackupError(
            f"{name} is not on the PATH: install PostgreSQL's client programs "
            f"(apt-get install postgresql-client), not older than the server ({server()})."
        )
    own = _MAJOR.search(_run([found, "--version"], f"{name} can't be started"))
    theirs = _MAJOR.search(server())
    if own and theirs and int(own[1]) < int(theirs[1]):
        raise BackupError(
            f"{found} is of release {own[0]}, and the server of {theirs[0]}: put a {name} that is "
            "not older first on the PATH."
        )
    return found


def _address() -> str:
    """The parameters of the connection, without the password: all users see the arguments."""
    facts = connection.settings_dict
    options = {
        name: value
        for name, value in facts["OPTIONS"].items()
        if name in {"host", "sslmode", "sslrootcert", "sslcert", "sslkey", "connect_timeout"}
    }
    named = {"host": "HOST", "port": "PORT", "user": "USER", "dbname": "NAME"}
    given = {name: facts[key] for name, key in named.items() if facts[key]}
    return conninfo.make_conninfo(**{**options, **given})


def _run(command: list[str], failure: str) -> str:
    environment = {**os.environ, "PGPASSWORD": str(connection.settings_dict["PASSWORD"] or "")}
    if not environment["PGPASSWORD"]:
        environment.pop("PGPASSWORD")
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)  # noqa: S603  # our own words
    if done.returncode:
        said = done.stderr.strip().splitlines()
        raise BackupError(f"{failure}: {said[0] if said else 'no reason was given'}")
    return done.stdout
