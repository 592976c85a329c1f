"""`python -m config.launcher`: the whole portal in the foreground, until Ctrl-C.

Checks the environment, migrates the database, fills an empty one with the demo, and starts the web
server and a worker with beat. PORT, HOST, DATA_DIR, WEB_WORKERS and WEB_THREADS are read here;
everything else is read by the settings.
"""

import contextlib
import http.client
import io
import os
import signal
import sys
from pathlib import Path
from types import FrameType
from typing import NamedTuple
from urllib.parse import urlsplit

import django
from django.conf import settings
from django.core import checks
from django.core.management import CommandError, call_command
from django.db import DatabaseError, connections

from config.database.outages import FULL_DISK, Outage, outage_of
from config.env.secret_files import disk_full
from config.launcher import preflight, processes, servers
from config.launcher.preflight import NotReady

ROOT = Path(__file__).resolve().parents[2]
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
STARTUP_TIMEOUT = 60
"""Seconds that the web server has until it must answer."""


class ServerConfig(NamedTuple):
    """Address, data directory, and number of processes and threads of the web server."""

    host: str
    port: int
    data_dir: Path
    workers: int
    threads: int


class ShutdownFlag:
    """True from the first SIGINT, SIGTERM or SIGHUP on.

    Until the first child is started such a signal exits the process at once. An exception raised by
    a signal handler could be lost, in a finalizer or in a callback of the database; and what is cut
    off must survive a power cut anyway.
    """

    def __init__(self) -> None:
        self.exits_at_once = True
        self._is_set = False
        for each in STOP_SIGNALS:
            if each is signal.SIGHUP and signal.getsignal(each) is signal.SIG_IGN:
                continue  # started with nohup, which ignores the end of the terminal
            signal.signal(each, self._set)

    def __bool__(self) -> bool:
        return self._is_set

    def _set(self, _signal: int, _frame: FrameType | None) -> None:
        self._is_set = True
        if self.exits_at_once:
            os._exit(0)


def main() -> int:
    """0 after Ctrl-C or SIGTERM; 2, with one sentence, for a setting that cannot be used, and 1 if
    the portal cannot start or go on for another reason."""
    shutdown = ShutdownFlag()
    try:
        config = _read_config()
        with preflight.lock_data_dir(config.data_dir):
            welcome = _prepare(config.host)
            shutdown.exits_at_once = False
            _serve(config, welcome=welcome, shutdown=shutdown)
    except NotReady as reason:
        sys.stderr.write(f"{reason}\n")
        return reason.exit_code
    except OSError as error:  # wherever it comes up: secrets, static files, the queue
        if error.errno not in FULL_DISK:
            raise
        sys.stderr.write(f"{disk_full(_data_dir())}\n")
        return 1
    return 0


def _read_config() -> ServerConfig:
    """Read the environment, and write the defaults back into it for the child processes."""
    config = ServerConfig(
        host=os.environ.get("HOST") or "127.0.0.1",
        port=preflight.number("PORT", 8000, highest=65535),
        data_dir=_data_dir(),
        workers=preflight.number("WEB_WORKERS", 2, highest=256),
        threads=preflight.number("WEB_THREADS", 16, lowest=4, highest=256),
    )
    preflight.check_port(config.host, config.port)
    preflight.make_data_dir(config.data_dir)
    os.environ.update(PORT=str(config.port), DATA_DIR=str(config.data_dir))
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    os.environ.setdefault("PGCONNECT_TIMEOUT", "10")
    return config


def _data_dir() -> Path:
    return Path(os.environ.get("DATA_DIR") or ROOT / "var").expanduser().resolve()


def _prepare(host: str) -> str:
    """Make the database and the static files ready. Returns the welcome for the terminal, which
    holds a secret and must not be logged."""
    preflight.load_settings()
    django.setup()
    preflight.check_database()
    preflight.check_redis()
    try:
        _say("Preparing the database…")
        call_command("migrate", interactive=False, verbosity=0)
        _say("Collecting the static files…")
        call_command("collectstatic", interactive=False, verbosity=0)
        preflight.check_peppers()
        for message in checks.run_checks(databases=["default"]):
            _say(str(message))
        welcome = _seed(host)
    except (DatabaseError, CommandError) as error:
        if outage_of(error) is Outage.FULL:
            raise NotReady(disk_full(_data_dir())) from None
        raise NotReady(f"The database can't be prepared: {error}") from None
    connections.close_all()
    return welcome


def _seed(host: str) -> str:
    """Fill an empty database with the demo, if only this machine can reach the portal: the demo's
    passwords are public. Returns the welcome."""
    if not preflight.is_local(host, settings.BASE_URL):
        return (
            "\nThe demo is for this machine alone. If no one can sign in yet, start with:\n"
            "  .venv/bin/python manage.py create_account NAME --administrator EMAIL\n"
        )
    output = io.StringIO()
    call_command("seed_demo", if_empty=True, stdout=output)
    return output.getvalue() or (
        "\nThe database has users: sign in as one of them. Create an API token there and try it:\n"
        f"  curl -H 'Authorization: APIKey <token>' '{settings.BASE_URL}/iam/clients/me'\n"
    )


def _serve(config: ServerConfig, *, welcome: str, shutdown: ShutdownFlag) -> None:
    _say("Starting the web server and the worker…")
    children = [_start_web_server(config), _start_worker()]
    try:
        processes.watch(
            children,
            until=lambda: bool(shutdown) or _is_answering(config),
            within=STARTUP_TIMEOUT,
        )
        if not shutdown:
            _say(f"\nPermatoken is ready: {settings.BASE_URL}\n{welcome}\nStop it with Ctrl-C.")
            processes.watch(children, until=lambda: bool(shutdown))
    except processes.Ended as ended:
        raise NotReady(f"{ended} The lines above may say why.") from None
    except TimeoutError:
        raise NotReady(f"The portal did not answer within {STARTUP_TIMEOUT} seconds.") from None
    finally:
        _say("\nStopping, which takes a few seconds…")
        processes.stop(children)


def _start_web_server(config: ServerConfig) -> processes.Child:
    return processes.start(
        "web server",
        servers.web(
            host=config.host, port=config.port, workers=config.workers, threads=config.threads
        ),
        folder=ROOT,
    )


def _start_worker() -> processes.Child:
    return processes.start(
        "worker",
        [*servers.worker(), "--beat"],
        folder=ROOT,
        # It must not end people's access when it ends: by itself, as Celery does when something of
        # its broker is odder than it knows ("Unrecoverable error"), or killed.
        is_replaced=True,
        environment={"PYTHONWARNINGS": servers.NO_WARNING_OF_ROOT},
    )


def _is_answering(config: ServerConfig) -> bool:
    """True once /healthz answers 200."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(config.host, config.host)  # noqa: S104
    connection = http.client.HTTPConnection(host, config.port, timeout=5)
    try:
        connection.request("GET", "/healthz", headers={"Host": urlsplit(settings.BASE_URL).netloc})
        return connection.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _say(text: str) -> None:
    with contextlib.suppress(OSError):  # the terminal may be gone; go on stopping
        sys.stdout.write(f"{text}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
