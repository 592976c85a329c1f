"""The portal as it is served: a real web server on its own data, seen from outside."""

import atexit
import contextlib
import fcntl
import functools
import io
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

import psycopg

ROOT = Path(__file__).resolve().parent.parent
START_SECONDS = 60
SERVERS = ("DATABASE_URL", "REDIS_URL")
SHARED = "TEST_PREPARED_DIR"
DEMO, EMPTY = "demo.txt", "empty.sqlite3"
"""In the data of a portal that was prepared: what the demo printed, and the database before it."""
DATABASE = "permatoken.sqlite3"
GRANIAN = (
    "granian",
    "--interface",
    "wsgi",
    "--http",
    "1",
    "--host",
    "127.0.0.1",
    "--port",
    "{port}",
)


class Portal(NamedTuple):
    """Where it answers, where it keeps its data, what the demo printed, and a shell beside it."""

    url: str
    data_dir: Path
    demo: str
    shell: "Shell"


class Shell:
    """Runs code on the portal's data, in one process for all of it: starting Django takes longer
    than what tests have it do."""

    def __init__(self, settings: Mapping[str, str]) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.portal"],
            cwd=ROOT,
            env=settings,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def run(self, code: str) -> str:
        """Run the code; returns what it printed."""
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.write(json.dumps(code) + "\n")
        self.process.stdin.flush()
        printed, fault = json.loads(self.process.stdout.readline())
        assert fault is None, f"{fault}\n{printed}"
        return str(printed)

    def command(self, *words: str, typed: str = "", **options: object) -> str:
        """Run a management command, which reads what is typed; returns what it printed."""
        return self.run(
            "import io, sys; from django.core.management import call_command;"
            f"sys.stdin = io.StringIO({typed!r}); call_command(*{words!r}, **{options!r})"
        )

    def close(self) -> None:
        """End it; by force if it is in the middle of something."""
        try:
            self.process.communicate(timeout=20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


@contextlib.contextmanager
def shell(settings: Mapping[str, str]) -> Iterator[Shell]:
    """A shell in this environment."""
    running = Shell(settings)
    try:
        yield running
    finally:
        running.close()


@contextlib.contextmanager
def served_portal(
    data_dir: Path,
    *,
    server: Sequence[str] = (*GRANIAN, "config.wsgi:application"),
    **environment: str,
) -> Iterator[Portal]:
    """Serve a fresh portal with the demo on a free loopback port, until the block ends.

    `server` is a Python module that serves WSGI, and its arguments.
    """
    port = free_port()
    settings = {
        **{name: value for name, value in os.environ.items() if name != "DATABASE_URL"},
        "DATA_DIR": str(data_dir),
        "PORT": str(port),
        "DJANGO_SETTINGS_MODULE": "config.settings",
        **environment,
    }
    shutil.copytree(prepared(), data_dir, dirs_exist_ok=True)
    demo = (data_dir / DEMO).read_text()
    with shell(settings) as beside, (data_dir / "web.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", *(each.replace("{port}", str(port)) for each in server)],
            cwd=ROOT,
            env=settings,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
        try:
            url = f"http://localhost:{port}"
            _wait_for(f"{url}/healthz", process)
            yield Portal(url, data_dir, demo, beside)
        finally:
            process.terminate()
            process.wait(timeout=20)


def prepared() -> Path:
    """The data of a portal with the demo, to be copied: making it takes longer than most tests."""
    return once("portal", _prepare)


@functools.cache
def once(name: str, make: Callable[[Path], None]) -> Path:
    """What is at this name. The first who asks makes it.

    All workers of a run share it, if the run says where (TEST_PREPARED_DIR).
    """
    shared = Path(os.environ.get(SHARED) or _own_folder())
    with (shared / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        path = shared / name
        if not path.exists():
            unfinished = shared / f"{name}.unfinished"
            shutil.rmtree(unfinished, ignore_errors=True)
            unfinished.mkdir()
            make(unfinished)
            unfinished.rename(path)
    return path


@functools.cache
def _own_folder() -> str:
    """A folder that goes with this process."""
    folder = tempfile.mkdtemp(prefix="permatoken-prepared-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


def _prepare(data_dir: Path) -> None:
    """Make database and static files, and keep what the demo printed."""
    settings = {
        **{name: value for name, value in os.environ.items() if name not in SERVERS},
        "DATA_DIR": str(data_dir),
        "DJANGO_SETTINGS_MODULE": "config.settings",
    }
    with shell(settings) as beside:
        beside.command("migrate", verbosity=0)
        shutil.copy(data_dir / DATABASE, data_dir / EMPTY)
        beside.command("collectstatic", interactive=False, verbosity=0)
        demo = beside.command("seed_demo")
    (data_dir / DEMO).write_text(demo)


def prepared_tables(database_url: str) -> str:
    """The name of a database of this PostgreSQL that has been migrated and is empty, to be copied.
    It stays there until the server goes."""
    name = "permatoken_prepared"

    def migrate(folder: Path) -> None:
        with psycopg.connect(database_url, autocommit=True) as connection:
            connection.execute(f"DROP DATABASE IF EXISTS {name}")
            connection.execute(f"CREATE DATABASE {name}")
        url = urlsplit(database_url)._replace(path=f"/{name}").geturl()
        with shell({**os.environ, "DATA_DIR": str(folder), "DATABASE_URL": url}) as beside:
            beside.command("migrate", verbosity=0)

    once("tables", migrate)
    return name


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _wait_for(url: str, server: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError):  # refused, reset, or too slow yet
            urllib.request.urlopen(url, timeout=2).close()
            return
        if server.poll() is not None:
            break
        time.sleep(0.1)
    raise RuntimeError(f"The portal did not answer at {url}.")


def main() -> None:
    """Of each line run the code, and answer in a line what it printed and what went wrong."""
    import django
    from django.db import connections

    django.setup()
    for line in sys.stdin:
        fault, printed = None, io.StringIO()
        try:
            with contextlib.redirect_stdout(printed):
                exec(json.loads(line), {})
        except Exception as raised:
            fault = repr(raised)
        connections.close_all()
        sys.stdout.write(json.dumps([printed.getvalue(), fault]) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
