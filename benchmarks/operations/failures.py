"""What may fail around the portal, as blocks in which it does."""

import contextlib
import os
import shlex
import signal
import socket
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import psutil
import psycopg

from benchmarks.operations.portal import ROOT, Portal
from config.env.start import WRONG_SETTING
from tests.services import free_port

COMES_BACK_WITHIN = 30
"""Seconds for a server that is started again."""


Environment = Callable[[], AbstractContextManager[Mapping[str, str]]]
"""Settings that a portal is started with, and what stands behind them."""


@contextlib.contextmanager
def as_usual() -> Iterator[Mapping[str, str]]:
    """Mails are written to files."""
    yield {}


@contextlib.contextmanager
def mail_server_away() -> Iterator[Mapping[str, str]]:
    """Nobody listens where mails are to go."""
    yield {"EMAIL_URL": "smtp://127.0.0.1:9"}


@contextlib.contextmanager
def mail_server_hangs() -> Iterator[Mapping[str, str]]:
    """The mail server takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0), backlog=100) as server:
        yield {"EMAIL_URL": f"smtp://127.0.0.1:{server.getsockname()[1]}"}


@contextlib.contextmanager
def nothing(_portal: Portal) -> Iterator[None]:
    """Nothing fails: what the others are compared with."""
    yield


@contextlib.contextmanager
def redis_hangs(portal: Portal) -> Iterator[None]:
    """Redis is stopped (SIGSTOP): it takes connections and answers nothing."""
    with _stopped([_listening_at(portal.environment["REDIS_URL"])]):
        yield


@contextlib.contextmanager
def redis_is_away(portal: Portal) -> Iterator[None]:
    """Redis is ended, and started again, empty."""
    server = _listening_at(portal.environment["REDIS_URL"])
    port = str(urlsplit(portal.environment["REDIS_URL"]).port)
    command = [server.exe(), "--bind", "127.0.0.1", "--port", port, "--save", ""]
    server.kill()
    server.wait(10)
    yield
    again = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    portal.started_again.append(again)


@contextlib.contextmanager
def database_hangs(portal: Portal) -> Iterator[None]:
    """All processes of PostgreSQL are stopped (SIGSTOP)."""
    postmaster = _postmaster(portal)
    with _stopped([postmaster, *postmaster.children()]):
        yield


@contextlib.contextmanager
def database_is_away(portal: Portal) -> Iterator[None]:
    """PostgreSQL is shut down in the middle of its work, and started again."""
    postmaster, data = _postmaster(portal), _data_of(portal)
    command = shlex.split((data / "postmaster.opts").read_text())
    postmaster.send_signal(signal.SIGINT)
    postmaster.wait(COMES_BACK_WITHIN)
    yield
    owner = data.stat()
    subprocess.Popen(  # what has started the first server ends this one, too
        command,
        cwd=data,
        user=owner.st_uid,
        group=owner.st_gid,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


@contextlib.contextmanager
def database_is_read_only(portal: Portal) -> Iterator[None]:
    """PostgreSQL refuses to write, as one that has become a standby."""
    _set(portal, "ALTER SYSTEM SET default_transaction_read_only = on")
    yield
    _set(portal, "ALTER SYSTEM RESET default_transaction_read_only")


@contextlib.contextmanager
def connections_are_used_up(portal: Portal) -> Iterator[None]:
    """Others have taken all connections of PostgreSQL that are free."""
    with contextlib.ExitStack() as stack:
        with contextlib.suppress(psycopg.OperationalError):
            while True:
                stack.enter_context(psycopg.connect(portal.environment["DATABASE_URL"]))
        yield


@contextlib.contextmanager
def account_is_locked(portal: Portal) -> Iterator[None]:
    """A transaction holds the row of the account that is asked about."""
    with psycopg.connect(portal.environment["DATABASE_URL"]) as other:
        other.execute("SELECT 1 FROM accounts_account WHERE id = 1 FOR UPDATE")
        yield
        other.rollback()


@contextlib.contextmanager
def database_is_locked(portal: Portal) -> Iterator[None]:
    """Another process holds the lock for writing of SQLite."""
    path = portal.data_dir / "permatoken.sqlite3"
    with contextlib.closing(sqlite3.connect(path, isolation_level=None, timeout=30)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")


@contextlib.contextmanager
def disk_is_full(portal: Portal) -> Iterator[None]:
    """The file system of the data has no byte left."""
    filling = portal.data_dir / "filling"
    with filling.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(1 << 20))
    with filling.open("ab", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(b"\0")
    yield
    filling.unlink()


@contextlib.contextmanager
def worker_dies(portal: Portal) -> Iterator[None]:
    """The worker and its beat are killed."""
    for each in portal.named("celery"):
        with contextlib.suppress(psutil.NoSuchProcess):
            each.kill()
    yield


@contextlib.contextmanager
def web_process_dies(portal: Portal) -> Iterator[None]:
    """One of the processes that answer is killed."""
    (server,) = (each for each in portal.named("granian") if each.ppid() == portal.process.pid)
    server.children()[0].kill()
    yield


@contextlib.contextmanager
def pepper_is_wrong(portal: Portal) -> Iterator[None]:
    """Another web of the same database is started with another pepper: it must not serve."""
    environment = {
        **portal.environment,
        "PORT": str(free_port()),
        "TOKEN_PEPPERS": f"1:{'0a' * 32}",
    }
    other = subprocess.Popen(
        [ROOT / "deploy" / "permatoken", "web"],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield
        if (code := other.poll()) != WRONG_SETTING:
            raise RuntimeError(f"A web with a wrong pepper did not refuse to serve: {code}.")
    finally:
        other.terminate()
        _said, said = other.communicate()
    if "Pepper 1 of this process is not the one" not in said or said.count("\n") != 1:
        raise RuntimeError(f"A web with a wrong pepper did not say so in a sentence: {said}")


@contextlib.contextmanager
def static_files_are_gone(portal: Portal) -> Iterator[None]:
    """Who has installed a release has forgotten them, or swept too much away."""
    folder = portal.data_dir / "static"
    aside = folder.rename(portal.data_dir / "aside")
    yield
    aside.rename(folder)


@contextlib.contextmanager
def _stopped(processes: list[psutil.Process]) -> Iterator[None]:
    for each in processes:
        each.suspend()
    try:
        yield
    finally:
        for each in processes:
            with contextlib.suppress(psutil.NoSuchProcess):
                each.resume()


def _listening_at(url: str) -> psutil.Process:
    port = urlsplit(url).port
    for each in psutil.Process(os.getpid()).children(recursive=True):
        with contextlib.suppress(psutil.Error):
            if str(port) in each.cmdline() or f":{port}" in " ".join(each.cmdline()):
                return each
    raise RuntimeError(f"No process listens on port {port}.")


def _data_of(portal: Portal) -> Path:
    """The folder that the wheel's PostgreSQL has its socket and its data in."""
    return Path(parse_qs(urlsplit(portal.environment["DATABASE_URL"]).query)["host"][0])


def _postmaster(portal: Portal) -> psutil.Process:
    return psutil.Process(int((_data_of(portal) / "postmaster.pid").read_text().split()[0]))


def _set(portal: Portal, statement: str) -> None:
    """Also while transactions are read-only, for which PostgreSQL has to be asked to write."""
    with psycopg.connect(portal.environment["DATABASE_URL"], autocommit=True) as operator:
        operator.execute("SET default_transaction_read_only = off")
        operator.execute(statement.encode())
        operator.execute("SELECT pg_reload_conf()")
    time.sleep(0.5)
