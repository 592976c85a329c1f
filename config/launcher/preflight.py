"""What must hold before the portal starts, and the sentence for whoever finds that it does not."""

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

from config.env.urls import parse_email_url

ENGINES = ("django.db.backends.sqlite3", "django.db.backends.postgresql")


class NotReady(Exception):
    """The portal cannot start: one sentence that says why and what to do."""


def number(name: str, default: int, *, highest: int) -> int:
    """Read a number from 1 to `highest` from the environment."""
    text = os.environ.get(name) or str(default)
    if not (text.isascii() and text.isdecimal() and 1 <= int(text[:9]) <= highest):
        raise NotReady(f"{name} must be a number from 1 to {highest}, not {text!r}.")
    return int(text)


def refuse_taken_port(host: str, port: int) -> None:
    """Nobody else may listen there, and we must be allowed to."""
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
    """Make the folder, readable to its owner only, and see that it can be written to."""
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


def claim_data_dir(path: Path) -> IO[str]:
    """Hold the folder for this portal alone, as long as the file that is returned stays open."""
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


def read_settings() -> None:
    """Read the settings, which reads the environment and makes the secrets on first start."""
    _refuse_odd_urls()
    try:
        assert settings.DATABASES
    except (ImproperlyConfigured, ValueError, LookupError) as error:
        raise NotReady(f"The settings cannot be used: {error}") from None
    except OSError as error:
        raise NotReady(
            f"The settings cannot be used: {error.strerror} ({error.filename})."
        ) from None


def ask_database() -> None:
    """The database must answer; it is not yet asked for its tables."""
    try:
        connection.ensure_connection()
    except DatabaseError as error:
        raise NotReady(
            f"The database does not answer: {_first_line(error)}. Check DATABASE_URL."
        ) from None


def ask_redis() -> None:
    """Redis must answer, if there is one."""
    if not settings.REDIS_URL:
        return
    try:
        with Redis.from_url(settings.REDIS_URL, socket_connect_timeout=5) as client:
            client.ping()
    except (RedisError, OSError) as error:
        raise NotReady(f"Redis does not answer: {_first_line(error)}. Check REDIS_URL.") from None


def _refuse_odd_urls() -> None:
    """Look at the URLs one by one: the libraries' own complaints name neither variable nor cure,
    and some would repeat a password."""
    if not _is_address(_given("BASE_URL", "http://localhost")):
        raise NotReady("BASE_URL must look like https://tokens.example.com.")
    if not _is_database(_given("DATABASE_URL", "sqlite:///:memory:")):
        raise NotReady(
            "DATABASE_URL must look like postgres://user:password@host:5432/database "
            "or sqlite:////path/to/file."
        )
    if not _is_redis(_given("REDIS_URL", "redis://localhost")):
        raise NotReady("REDIS_URL must look like redis://:password@host:6379/0.")
    try:
        parse_email_url(_given("EMAIL_URL", "filemail://"))
    except ImproperlyConfigured as error:
        raise NotReady(str(error)) from None


def _given(name: str, default: str) -> str:
    return os.environ.get(name) or default


def _is_address(url: str) -> bool:
    try:
        parts = urlsplit(url)
        return parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def _is_database(url: str) -> bool:
    try:
        with warnings.catch_warnings(action="ignore"):
            facts = environ.Env.db_url_config(url)
    except ValueError:
        return False
    return facts.get("ENGINE") in ENGINES and bool(facts["NAME"])


def _is_redis(url: str) -> bool:
    try:
        Redis.from_url(url).close()
    except ValueError:
        return False
    return True


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0].rstrip(".") if str(error).strip() else "no answer"


def is_local(host: str, base_url: str) -> bool:
    """True if the portal listens to this machine only, and is spoken of as this machine."""
    names = {"localhost", "127.0.0.1", "::1"}
    return host in names and urlsplit(base_url).hostname in names
