"""Checks before the portal starts. Each failure is one sentence for the operator."""

import errno
import fcntl
import os
import socket
import tempfile
from functools import partial
from pathlib import Path
from typing import IO, Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.db import DatabaseError, connection
from django.utils import timezone
from redis import Redis, RedisError

from config.database.outages import FULL_DISK
from config.env import read
from config.env.databases import parse_database_url
from config.env.networks import is_host
from config.env.numbers import parse_number
from config.env.secret_files import NoRoom, disk_full
from config.env.start import WRONG_SETTING
from config.env.urls import parse_base_url, parse_email_url, parse_redis_url

PROBE_BYTES = 1 << 20
"""More than a start writes where everything was prepared before."""
NO_ADDRESS = "HOST must be an address of this machine, not {!r}."
_MAY_BE_KNOWN_LATER = (socket.EAI_AGAIN, socket.EAI_FAIL, socket.EAI_MEMORY, socket.EAI_SYSTEM)
"""Faults of a resolver. All others are its answer: there is no such name."""
_STAYS_REFUSED = (errno.EACCES, errno.EPERM, errno.EAFNOSUPPORT, errno.EINVAL)
"""An address that is not there yet, or a port that is in use, may be ours a moment later."""
_OF_ANOTHER_MACHINE = (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT, errno.EINVAL)


class NotReady(Exception):
    """The portal cannot start; the message says why and what to do."""

    exit_code = 1


class DiskFull(NotReady):
    """There is no room for what a start writes. What was prepared before runs all the same."""


class WrongSetting(NotReady):
    """A setting has a value that cannot be used. To start again changes nothing."""

    exit_code = WRONG_SETTING


def number(name: str, default: int, *, lowest: int = 1, highest: int) -> int:
    """Read a number within bounds from the environment; empty means the default."""
    text = os.environ.get(name) or str(default)
    try:
        return parse_number(name, text, lowest=lowest, highest=highest)
    except ImproperlyConfigured as error:
        raise WrongSetting(str(error)) from None


def check_port(host: str, port: int, *, choose: str = "make run PORT={}") -> None:
    """Check that the port is free and ours to listen on; `choose` says how to take another."""
    family, address = _address_of(host, port)
    try:
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        refused = WrongSetting if error.errno in _STAYS_REFUSED else NotReady
        if error.errno in _OF_ANOTHER_MACHINE:
            raise refused(NO_ADDRESS.format(host)) from None
        taken = error.errno == errno.EADDRINUSE
        reason = "is in use" if taken else f"can't be used ({error.strerror})"
        other = port + 1 if 1023 < port < 65535 else 8000
        raise refused(f"Port {port} {reason}. Choose another: {choose.format(other)}") from None


def _address_of(host: str, port: int) -> tuple[int, Any]:
    """The family of the host's first address, and the address to listen on."""
    if not is_host(host):
        raise WrongSetting(NO_ADDRESS.format(host))
    try:
        family, *_, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except socket.gaierror as error:
        if error.errno in _MAY_BE_KNOWN_LATER:
            sentence = f"HOST {host!r} can't be looked up now ({error.strerror})."
            raise NotReady(sentence) from None
        raise WrongSetting(NO_ADDRESS.format(host)) from None
    return family, address


def make_data_dir(path: Path) -> None:
    """Make the folder, readable to its owner only, and check that it can be written to."""
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path) as probe:
            probe.write(bytes(PROBE_BYTES))
    except OSError as error:
        if error.errno in FULL_DISK:
            raise DiskFull(disk_full(path)) from None
        reason = "it is no folder" if path.exists() and not path.is_dir() else error.strerror
        raise WrongSetting(
            f"DATA_DIR {path} can't be written to ({reason}). "
            "Choose another folder: DATA_DIR=/path/to/folder"
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
    except NoRoom as full:
        raise DiskFull(str(full)) from None
    except (ImproperlyConfigured, ValueError, LookupError, OSError) as error:
        raise WrongSetting(f"The settings can't be used: {error}") from None


def check_database() -> None:
    """Check that the database answers. Its tables need not exist yet."""
    try:
        connection.ensure_connection()
    except DatabaseError as error:
        raise NotReady(
            f"The database isn't responding: {_first_line(error)}. Check DATABASE_URL."
        ) from None


def check_peppers() -> None:
    """Check that the peppers are those that the database knows. Its tables exist."""
    from apitokens.pepper_checks import WrongPeppers, require_right_peppers  # needs the apps

    try:
        require_right_peppers(at=timezone.now())
    except WrongPeppers as wrong:
        raise WrongSetting(str(wrong)) from None


def check_redis() -> None:
    """Check that Redis answers, if it is configured."""
    if not settings.REDIS_URL:
        return
    try:
        with Redis.from_url(settings.REDIS_URL, socket_connect_timeout=5) as client:
            client.ping()
    except (RedisError, OSError) as error:
        raise NotReady(f"Redis isn't responding: {_first_line(error)}. Check REDIS_URL.") from None


def _check_urls() -> None:
    """Check the URLs first, and one by one: they are what newcomers set."""
    for name, parse in (
        ("BASE_URL", parse_base_url),
        ("DATABASE_URL", partial(parse_database_url, conn_max_age=0)),
        ("REDIS_URL", parse_redis_url),
        ("EMAIL_URL", parse_email_url),
    ):
        try:
            if text := read.text(name):
                parse(text)
        except ImproperlyConfigured as error:
            raise WrongSetting(str(error)) from None


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0].rstrip(".") if str(error).strip() else "no answer"


def is_local(host: str, base_url: str) -> bool:
    """True if host and BASE_URL both name this machine only."""
    names = {"localhost", "127.0.0.1", "::1"}
    return host in names and urlsplit(base_url).hostname in names
