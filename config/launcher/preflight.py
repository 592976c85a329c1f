"""Checks before the portal starts. Each failure is one sentence for the operator."""

import errno
import fcntl
import os
import socket
import tempfile
import warnings
from pathlib import Path
from typing import IO
from urllib.parse import urlsplit

import environ
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db import DatabaseError, connection
from redis import Redis, RedisError

from config.env.numbers import parse_number
from config.env.urls import parse_email_url

ENGINES = ("django.db.backends.sqlite3", "django.db.backends.postgresql")


class NotReady(Exception):
    """The portal cannot start; the message says why and what to do."""


def number(name: str, default: int, *, highest: int) -> int:
    """Read a number from 1 to `highest` from the environment; empty means the default."""
    try:
        return parse_number(name, os.environ.get(name) or str(default), highest=highest)
    except ImproperlyConfigured as error:
        raise NotReady(str(error)) from None


def check_port(host: str, port: int) -> None:
    """Check that the port is free, and that we may listen on it."""
    try:
        family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        if isinstance(error, socket.gaierror) or error.errno == errno.EADDRNOTAVAIL:
            raise NotReady(f"HOST must be an address of this machine, not {host!r}.") from None
        taken = error.errno == errno.EADDRINUSE
        reason = "is in use" if taken else f"cannot be used ({error.strerror})"
        other = port + 1 if 1023 < port < 65535 else 8000
        raise NotReady(f"Port {port} {reason}. Choose another: make run PORT={other}") from None


def make_data_dir(path: Path) -> None:
    """Make the folder, readable to its owner only, and check that it can be written to."""
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path):
            pass
    except OSError as error:
        reason = "it is no folder" if path.exists() and not path.is_dir() else error.strerror
        raise NotReady(
            f"DATA_DIR {path} cannot be written to ({reason}). "
            "Choose another folder: make run DATA_DIR=/path/to/folder"
        ) from None


def lock_data_dir(path: Path) -> IO[str]:
    """Lock the folder for this portal, as long as the returned file stays open."""
    lock = (path / "run.lock").open("w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        lock.close()
        raise NotReady(
            f"Another portal runs on the data in {path}. Stop it, or start this one with its own: "
            "make run PORT=8001 DATA_DIR=var-2"
        ) from None
    return lock


def load_settings() -> None:
    """Load the settings, which read the environment and make the secrets on first start."""
    _check_urls()
    try:
        assert settings.DATABASES
    except (ImproperlyConfigured, ValueError, LookupError) as error:
        raise NotReady(f"The settings cannot be used: {error}") from None
    except OSError as error:
        raise NotReady(
            f"The settings cannot be used: {error.strerror} ({error.filename})."
        ) from None


def check_database() -> None:
    """Check that the database answers. Its tables need not exist yet."""
    try:
        connection.ensure_connection()
    except DatabaseError as error:
        raise NotReady(
            f"The database does not answer: {_first_line(error)}. Check DATABASE_URL."
        ) from None


def check_redis() -> None:
    """Check that Redis answers, if it is configured."""
    if not settings.REDIS_URL:
        return
    try:
        with Redis.from_url(settings.REDIS_URL, socket_connect_timeout=5) as client:
            client.ping()
    except (RedisError, OSError) as error:
        raise NotReady(f"Redis does not answer: {_first_line(error)}. Check REDIS_URL.") from None


def _check_urls() -> None:
    """Check the URLs one by one: the libraries' own errors name neither the variable nor a remedy,
    and some would repeat a password."""
    if not _is_http_url(_variable("BASE_URL", "http://localhost")):
        raise NotReady("BASE_URL must look like https://tokens.example.com.")
    if not _is_database_url(_variable("DATABASE_URL", "sqlite:///:memory:")):
        raise NotReady(
            "DATABASE_URL must look like postgres://user:password@host:5432/database "
            "or sqlite:////path/to/file."
        )
    if not _is_redis_url(_variable("REDIS_URL", "redis://localhost")):
        raise NotReady("REDIS_URL must look like redis://:password@host:6379/0.")
    try:
        parse_email_url(_variable("EMAIL_URL", "filemail://"))
    except ImproperlyConfigured as error:
        raise NotReady(str(error)) from None


def _variable(name: str, default: str) -> str:
    return os.environ.get(name) or default


def _is_http_url(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def _is_database_url(url: str) -> bool:
    try:
        with warnings.catch_warnings(action="ignore"):
            facts = environ.Env.db_url_config(url)
    except ValueError:
        return False
    return facts.get("ENGINE") in ENGINES and bool(facts["NAME"])


def _is_redis_url(url: str) -> bool:
    try:
        Redis.from_url(url).close()
    except ValueError:
        return False
    return True


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0].rstrip(".") if str(error).strip() else "no answer"


def is_local(host: str, base_url: str) -> bool:
    """True if host and BASE_URL both name this machine only."""
    names = {"localhost", "127.0.0.1", "::1"}
    return host in names and urlsplit(base_url).hostname in names
