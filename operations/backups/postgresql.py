"""Dumps, reads back and puts back a database of PostgreSQL, by its own programs."""

import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from django.db import connection
from psycopg import conninfo
from psycopg.pq import Conninfo

from notifications.email.unsettled import ADD_MARK
from operations.backups.archive import INTERRUPTIONS, BackupError, reason_of

NAME = "database.dump"
_RELEASE = re.compile(r"\d[.\d]*")
_EXTENSIONS = ("--extension=pg_trgm", "--extension=plpgsql")
"""The only ones that the portal uses, of which the first may be missing: others are not always the
role's to make."""
_WIPE = """
SET client_min_messages = warning;
SET statement_timeout = 0;
SET lock_timeout = 0;
DO $$
DECLARE
    found text;
BEGIN
    LOOP
        SELECT format('DROP %s %s CASCADE', named.type, named.identity) INTO found
        FROM pg_depend AS here, pg_identify_object(classid, objid, objsubid) AS named
        WHERE refclassid = 'pg_namespace'::regclass AND refobjid = 'public'::regnamespace
            AND classid IN ('pg_class'::regclass, 'pg_proc'::regclass, 'pg_type'::regclass)
            AND NOT EXISTS (
                SELECT FROM pg_depend AS other
                WHERE other.classid = here.classid AND other.objid = here.objid
                    AND other.deptype IN ('a', 'i', 'e')
            )
        ORDER BY named.type <> 'table' LIMIT 1;
        EXIT WHEN found IS NULL;
        EXECUTE found;
    END LOOP;
END $$;
"""
"""In the transaction that restores: tables of a newer release would be left over otherwise. Not the
schema itself: before PostgreSQL 15 it is not the role's to drop, and with it would go extensions
that others have made, and rights. Columns' sequences and parts of extensions go with what they
belong to, or stay."""
_NOT_BEFORE_17 = b"SET transaction_timeout = 0;"
"""In every script of a `pg_restore` of 17 or newer."""
_HEAD = 4096
"""Bytes. The settings are at the top of the script."""


def dump(target: Path) -> None:
    """Dump the database as it is at one moment. Nobody waits for it. Raises `BackupError`."""
    os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    with _connecting() as (address, environment):
        _run(
            [
                *(_program("pg_dump"), "--format=custom", "--no-owner", "--no-privileges"),
                *(*_EXTENSIONS, "--lock-wait-timeout=60s", f"--file={target}", address),
            ],
            "Nothing was dumped",
            environment,
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
            " AND pid <> pg_backend_pid() AND (backend_type = 'client backend'"
            # All that an ordinary role sees of other roles. (Autovacuum has no user.)
            " OR backend_type IS NULL AND usesysid IS NOT NULL)"
            " GROUP BY 1 ORDER BY 2 DESC"
        )
        return ", ".join(f"{number} × {name}" for name, number in cursor.fetchall())


@contextmanager
def put_back(source: Path) -> Iterator[list[str]]:
    """Restore in one transaction, which leaves all as it was if anything fails. It has a mark that
    lets no mail leave until the block has settled it (`notifications.email.unsettled`). Yields
    remarks. Raises `BackupError`."""
    connection.close()
    _restore(source)
    try:
        yield []
    except INTERRUPTIONS as error:
        raise BackupError(
            "The backup is in the place of the database, and what has to follow was broken off "
            f"({reason_of(error)}). No email leaves until then. Mend that, and restore again."
        ) from error


def _restore(source: Path) -> None:
    script = source.with_suffix(".sql")
    try:
        _run(
            [
                # Comments: that on an extension is its owner's to make.
                *(_program("pg_restore"), "--no-owner", "--no-privileges", "--no-comments"),
                *(f"--file={script}", str(source)),
            ],
            "Nothing was restored",
        )
        if _major(server()) < 17:
            _comment_out(script, _NOT_BEFORE_17)
        # The server may be at work for longer than the portal waits for a web page, and read
        # nothing meanwhile of what was sent to it: that is no machine which has gone.
        with _connecting(without="tcp_user_timeout") as (address, environment):
            _run(
                [
                    *(_program("psql"), "--no-psqlrc", "--quiet", "--set=ON_ERROR_STOP=1"),
                    *("--single-transaction", f"--command={_WIPE}", f"--file={script}"),
                    f"--command={ADD_MARK}",
                    *("--output", os.devnull, address),
                ],
                "Nothing was restored",
                environment,
            )
    finally:
        script.unlink(missing_ok=True)


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
    own = _run([found, "--version"], f"{name} can't be started")
    if _major(own) < _major(server()):
        raise BackupError(
            f"{found} is of release {_release(own)}, and the server of {_release(server())}: put a "
            f"{name} that is not older first on the PATH."
        )
    return found


def _release(text: str) -> str:
    """The first number in it, with its parts: 18.4."""
    found = _RELEASE.search(text)
    return found[0] if found else ""


def _major(text: str) -> int:
    return int(_release(text).partition(".")[0] or 0)


def _comment_out(script: Path, line: bytes) -> None:
    """In its place: scripts may be large."""
    with script.open("rb+") as file:
        at = file.read(_HEAD).find(b"\n" + line + b"\n")
        if at >= 0:
            file.seek(at + 1)
            file.write(b"--")


@contextmanager
def _connecting(*, without: str = "") -> Iterator[tuple[str, dict[str, str]]]:
    """The address of the database for PostgreSQL's programs, which has all that the portal itself
    connects with, and the variables that hold its secrets: all users see the arguments. Raises
    `BackupError`."""
    given = connection.get_connection_params()
    public, secret = dict[str, str](), dict[str, str]()
    for each in Conninfo.get_defaults():
        name = each.keyword.decode()
        if name in given and name not in {without, "client_encoding"}:  # the dump has the server's
            (secret if each.dispchar else public)[name] = str(given[name])
    password = secret.pop("password", None)
    environment = {} if password is None else {"PGPASSWORD": password}
    if not secret:
        yield conninfo.make_conninfo(**public), environment
        return
    if "service" in public:
        raise BackupError(f"Write {' and '.join(secret)} of DATABASE_URL into its service instead.")
    with tempfile.NamedTemporaryFile("w", prefix="permatoken-") as file:  # for its owner alone
        file.write(
            "".join(f"{line}\n" for line in ["[permatoken]", *map("=".join, secret.items())])
        )
        file.flush()
        address = conninfo.make_conninfo(**public, service="permatoken")
        yield address, {**environment, "PGSERVICEFILE": file.name}


def _run(command: list[str], failure: str, environment: Mapping[str, str] | None = None) -> str:
    variables = {**os.environ, **(environment or {})}
    done = subprocess.run(command, env=variables, capture_output=True, text=True, check=False)  # noqa: S603  # our own words
    if done.returncode:
        said = done.stderr.strip().splitlines()
        raise BackupError(f"{failure}: {said[0] if said else 'no reason was given'}")
    return done.stdout
