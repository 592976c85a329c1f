"""PostgreSQL's programs connect as the portal does, and no argument shows a secret."""

import os
import shlex
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.parse import quote

import psycopg
import pytest
from django.db.utils import ConnectionHandler
from psycopg.conninfo import conninfo_to_dict
from pytest_django import DjangoDbBlocker

from config.env.databases import parse_database_url
from operations.backups import postgresql
from operations.backups.archive import BackupError
from tests import services
from tests.config.database.test_second_server import ATTRIBUTE, folder_of, set_read_only
from tests.operations.backups.test_there_and_back import PROGRAMS

Name = Callable[[str], Any]
OF_THE_URL = {
    "target_session_attrs": "read-write",
    "channel_binding": "disable",
    "gssencmode": "disable",
    "sslnegotiation": "direct",
    "load_balance_hosts": "random",
    "keepalives": "1",
    "keepalives_idle": "60",
    "sslmode": "verify-full",
    "sslrootcert": "/etc/ca.pem",
    "sslcrl": "/etc/crl.pem",
    "require_auth": "scram-sha-256",
    "options": "-c search_path=public",
}
RECORD = """#!/bin/sh
printf '%s\\n' "$@" > {folder}/arguments
env > {folder}/environment
[ -z "$PGSERVICEFILE" ] && exit
cp "$PGSERVICEFILE" {folder}/service
ls -l "$PGSERVICEFILE" > {folder}/mode
"""


@pytest.fixture
def name(monkeypatch: pytest.MonkeyPatch) -> Name:
    """Has the programs find the database of a DATABASE_URL."""

    def use(url: str) -> Any:
        facts = parse_database_url(url, conn_max_age=0)
        made = ConnectionHandler({"default": facts})["default"]
        monkeypatch.setattr(postgresql, "connection", made)
        return made

    return use


@pytest.fixture
def told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], dict[str, Any]]:
    """The parameters that a program was given, and what it found in its environment."""
    monkeypatch.setattr(postgresql, "server", lambda: "18.0")
    monkeypatch.setattr(postgresql, "_program", lambda program: str(tmp_path / program))
    for program in ("pg_dump", "pg_restore", "psql"):
        (tmp_path / program).write_text(RECORD.replace("{folder}", shlex.quote(str(tmp_path))))
        (tmp_path / program).chmod(0o700)
    (tmp_path / "source.sql").touch()

    def run(program: str) -> dict[str, Any]:
        if program == "pg_dump":
            postgresql.dump(tmp_path / "target")
        else:
            postgresql._restore(tmp_path / "source.dump")
        return conninfo_to_dict((tmp_path / "arguments").read_text().splitlines()[-1])

    return run


def test_programs_get_all_parameters_of_the_portal_s_own_connection(
    name: Name, told: Callable[[str], dict[str, Any]]
) -> None:
    query = "&".join(f"{key}={quote(value)}" for key, value in OF_THE_URL.items())
    name(f"postgres://me@db-1:5432,db-2:5433/permatoken?{query}")

    given = told("pg_dump")

    assert {**OF_THE_URL, "host": "db-1,db-2", "port": "5432,5433"}.items() <= given.items()
    assert (given["user"], given["dbname"], given["connect_timeout"]) == ("me", "permatoken", "10")
    assert given["tcp_user_timeout"] == "20000"
    assert "client_encoding" not in given  # the dump has the server's
    assert told("psql") == {key: value for key, value in given.items() if key != "tcp_user_timeout"}


def test_no_secret_is_among_the_arguments(
    name: Name, told: Callable[[str], dict[str, Any]], tmp_path: Path
) -> None:
    name("postgres://me:topsecret@db/permatoken?sslkey=/key.pem&sslpassword=of%20the%20key")

    given = told("pg_dump")

    arguments = (tmp_path / "arguments").read_text()
    assert "topsecret" not in arguments
    assert "of the key" not in arguments
    assert "PGPASSWORD=topsecret\n" in (tmp_path / "environment").read_text()
    assert (given["service"], given["sslkey"]) == ("permatoken", "/key.pem")
    assert (tmp_path / "service").read_text() == "[permatoken]\nsslpassword=of the key\n"
    mode, *_owner, file = (tmp_path / "mode").read_text().split()
    assert mode.startswith("-rw-------")
    assert not Path(file).exists()


def test_secret_beside_a_service_of_the_operator_is_refused(
    name: Name, told: Callable[[str], dict[str, Any]]
) -> None:
    """The programs know one file of services."""
    name("postgres://me@/permatoken?service=ours&sslpassword=secret")
    with pytest.raises(BackupError, match="Write sslpassword of DATABASE_URL into its service"):
        told("pg_dump")


def test_password_of_the_environment_is_used_as_the_portal_uses_it(
    name: Name,
    told: Callable[[str], dict[str, Any]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PGPASSWORD", "from elsewhere")
    name("postgres://me@db/permatoken")
    told("pg_dump")
    assert "PGPASSWORD=from elsewhere\n" in (tmp_path / "environment").read_text()


@pytest.fixture
def two_servers() -> Iterator[tuple[str, str]]:
    with ExitStack() as stack:
        first, second = (
            stack.enter_context(services.postgresql(is_durable=False)) for _each in range(2)
        )
        yield first, second


@pytest.mark.long
def test_dump_is_of_the_server_that_can_be_written_to(
    two_servers: tuple[str, str],
    name: Name,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    django_db_blocker: DjangoDbBlocker,
) -> None:
    """After a failover the first that answers may be a standby that has stayed behind."""
    monkeypatch.setenv("PATH", f"{PROGRAMS}:{os.environ['PATH']}")
    for url, value in zip(two_servers, ("stale", "present"), strict=True):
        with psycopg.connect(url, autocommit=True) as server:
            server.execute("CREATE TABLE kept (value text)")
            server.execute("INSERT INTO kept VALUES (%s)", [value])
    set_read_only(two_servers[0], "on")
    hosts = ",".join(folder_of(url).replace("/", "%2F") for url in two_servers)
    connection = name(f"postgres://postgres@{hosts}/postgres{ATTRIBUTE}")

    with django_db_blocker.unblock():  # it is not the database of the tests
        postgresql.dump(tmp_path / "database.dump")
        with psycopg.connect(two_servers[1], autocommit=True) as server:
            server.execute("UPDATE kept SET value = 'undone'")
        postgresql._restore(tmp_path / "database.dump")
        connection.close()

    for url, value in zip(two_servers, ("stale", "present"), strict=True):
        with psycopg.connect(url) as server:
            assert server.execute("SELECT value FROM kept").fetchall() == [(value,)]
