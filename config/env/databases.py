"""Parses the URL of the database."""

import os
from pathlib import Path
from typing import Any
from urllib.parse import SplitResult, unquote

from django.core.exceptions import ImproperlyConfigured

from config.env.networks import is_host
from config.env.url_parts import split_url, without_nul

SQLITE = "django.db.backends.sqlite3"
POSTGRESQL = "django.db.backends.postgresql"
IN_MEMORY = ":memory:"

# WAL lets readers go on while one writes; IMMEDIATE takes the write lock before reading, so that
# check-then-act is safe and "database is locked" cannot strike half way (measured, see
# docs/decisions). FULL costs some milliseconds a commit; with NORMAL a power cut could undo the
# last ones, and a deleted token would be back, or a mail that was sent would go again.
_SQLITE_OPTIONS = {
    "timeout": 30,
    "transaction_mode": "IMMEDIATE",
    "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;",
}
_ELSEWHERE = {"user", "password", "dbname", "port", "client_encoding"}
"""Connection parameters that have a place before the question mark, or that Django sets."""
# What libpq takes.
_CHOICES = {
    "sslmode": ("disable", "allow", "prefer", "require", "verify-ca", "verify-full"),
    "target_session_attrs": (
        *("any", "read-write", "read-only", "primary", "standby", "prefer-standby"),
    ),
    "channel_binding": ("disable", "prefer", "require"),
    "gssencmode": ("disable", "prefer", "require"),
    "load_balance_hosts": ("disable", "random"),
    "sslnegotiation": ("postgres", "direct"),
}
_NUMBERS = {
    *("connect_timeout", "tcp_user_timeout", "keepalives", "keepalives_idle"),
    *("keepalives_interval", "keepalives_count"),
}
# A machine whose packets get lost must hold up nobody for minutes: neither at the start (seconds),
# nor after something was sent to it (milliseconds), nor while an answer takes long: it is asked
# whether it is there after so many seconds, so often. Sockets of this machine know none of it.
_UNREACHABLE = {
    "connect_timeout": 10,
    "tcp_user_timeout": 20_000,
    "keepalives_idle": 15,
    "keepalives_interval": 5,
    "keepalives_count": 3,
}


def sqlite_database(path: Path | str) -> dict[str, Any]:
    """Django's settings for a database in this file."""
    return {"ENGINE": SQLITE, "NAME": str(path), "OPTIONS": {**_SQLITE_OPTIONS}}


def parse_database_url(url: str, *, conn_max_age: int) -> dict[str, Any]:
    """Django's settings for one database; `conn_max_age`, in seconds, is for PostgreSQL. Errors do
    not repeat the URL: it may hold a password."""
    try:
        without_nul(unquote(url))
        if url in ("sqlite://:memory:", "sqlite:///:memory:"):
            return sqlite_database(IN_MEMORY)
        parts = split_url(url)
        if parts.scheme == "sqlite":
            return sqlite_database(_sqlite_path(parts))
        if parts.scheme in ("postgres", "postgresql"):
            return {
                **_postgresql(parts),
                # Poolers that share connections by transaction lose a cursor between two of them.
                "DISABLE_SERVER_SIDE_CURSORS": True,
                "CONN_MAX_AGE": conn_max_age,
                "CONN_HEALTH_CHECKS": True,
            }
    except ValueError:
        pass
    raise ImproperlyConfigured(
        "DATABASE_URL must look like postgres://user:password@host:5432/database "
        "or sqlite:////path/to/file, with special characters of names and passwords as %40."
    )


def _sqlite_path(parts: SplitResult) -> str:
    path = unquote(parts.path[1:])
    if parts.netloc or parts.query or not path:
        raise ValueError
    if Path(path).is_dir():
        raise ImproperlyConfigured("DATABASE_URL must name the file of SQLite, not its folder.")
    if not os.path.isdir(folder := os.path.dirname(os.path.abspath(path))):
        raise ImproperlyConfigured(
            f"DATABASE_URL must name a file in a folder that exists: there is no folder {folder}."
        )
    return path


def _postgresql(parts: SplitResult) -> dict[str, Any]:
    """Settings for PostgreSQL. A host that begins with a slash, written as %2Frun%2Fpostgresql, is
    the folder of a socket; several hosts are tried in turn."""
    login, _at, netloc = parts.netloc.rpartition("@")
    user, _colon, password = login.partition(":")
    hosts = [_host_and_port(each) for each in netloc.split(",")]
    name = unquote(parts.path[1:])
    if not name or "/" in name:
        raise ValueError
    ports = [port for _host, port in hosts]
    return {
        "ENGINE": POSTGRESQL,
        "NAME": name,
        "USER": unquote(user),
        "PASSWORD": unquote(password),
        "HOST": ",".join(host for host, _port in hosts),
        "PORT": ",".join(ports) if any(ports) else "",
        "OPTIONS": {
            **_UNREACHABLE,
            **_connection_parameters(parts.query, has_host=bool(netloc)),
        },
    }


def _host_and_port(text: str) -> tuple[str, str]:
    """The parts of `host:5432`, `[::1]:5432` or `%2Frun%2Fpostgresql`. Raises `ValueError`."""
    host, colon, port = text, "", ""
    if not text.endswith("]"):
        start, colon, end = text.rpartition(":")
        host, port = (start, end) if colon else (text, "")
    if port and not (port.isascii() and port.isdecimal() and 0 < int(port) < 1 << 16):
        raise ValueError
    host = unquote(host)
    if host.startswith("[") != host.endswith("]"):
        raise ValueError
    host = host.strip("[]") if text.startswith("[") else host
    is_socket = host.startswith(("/", "@"))
    is_bare_ipv6 = ":" in host and not text.startswith("[")
    if host and not is_socket and (is_bare_ipv6 or not is_host(host)):
        raise ValueError
    return host, port


def _connection_parameters(query: str, *, has_host: bool) -> dict[str, Any]:
    """What stands behind the question mark: parameters of libpq, and nothing that it would not
    understand (`sslmode`, not `ssl_mode`)."""
    if not query:
        return {}
    from psycopg.pq import Conninfo  # not needed by those who use SQLite

    known = {each.keyword.decode() for each in Conninfo.get_defaults()} - _ELSEWHERE
    if has_host:
        known.discard("host")  # that before the question mark would be taken
    parameters = [_parameter(each) for each in query.split("&")]
    for name, value in parameters:
        if name not in known or [each for each, _ in parameters].count(name) > 1:
            raise ImproperlyConfigured(
                f"DATABASE_URL must not have {name!r} behind the question mark, or not twice: only "
                "connection parameters of PostgreSQL may stand there that are not told before it, "
                "such as sslmode=require."
            )
        _check_value(name, value)
    return dict(parameters)


def _parameter(text: str) -> tuple[str, str]:
    """Name and value, as libpq reads them: a plus is a plus. Raises `ValueError`."""
    name, equals, value = text.partition("=")
    if not equals:
        raise ValueError
    return unquote(name), unquote(value)


def _check_value(name: str, value: str) -> None:
    """Refuse what libpq would refuse at each connection, and not at the start."""
    choices = _CHOICES.get(name)
    if choices and value not in choices:
        raise ImproperlyConfigured(
            f"DATABASE_URL must have one of {', '.join(choices)} as its {name}, not {value!r}."
        )
    if name in _NUMBERS and not (value.isascii() and value.isdecimal()):
        raise ImproperlyConfigured(f"DATABASE_URL must have a number as its {name}, not {value!r}.")
