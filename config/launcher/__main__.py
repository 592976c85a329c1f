"""`python -m config.launcher`: the whole portal in the foreground, until Ctrl-C.

Looks first whether everything is there, prepares the database, fills an empty one with the demo,
and starts the web server and a worker with beat. PORT, HOST, DATA_DIR, WEB_WORKERS and WEB_THREADS
are read here; everything else is read by the settings.
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
from django.core.management import call_command
from django.db import DatabaseError, connections

from config.launcher import preflight, processes
from config.launcher.preflight import NotReady

ROOT = Path(__file__).resolve().parents[2]
STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
ANSWERS_WITHIN = 60
"""Seconds until the web server has to answer."""


class ServerConfig(NamedTuple):
    """Where the portal listens and keeps its data, and how many serve it."""

    host: str
    port: int
    data_dir: Path
    workers: int
    threads: int


class ShutdownFlag:
    """True from the first Ctrl-C (or SIGTERM, or the terminal's end) on.

    While nothing is started it ends the process on the spot. An exception out of nowhere could be
    lost, in a finalizer or in a callback of the database's; and whatever is cut off must stand a
    power cut anyhow.
    """

    def __init__(self) -> None:
        self.leaves_at_once = True
        self._is_made = False
        for each in STOP_SIGNALS:
            if each is signal.SIGHUP and signal.getsignal(each) is signal.SIG_IGN:
                continue  # started with nohup: the end of the terminal is not to matter
            signal.signal(each, self._make)

    def __bool__(self) -> bool:
        return self._is_made

    def _make(self, _signal: int, _frame: FrameType | None) -> None:
        self._is_made = True
        if self.leaves_at_once:
            os._exit(0)


def main() -> int:
    """0 after Ctrl-C or SIGTERM; 1, with one sentence, if the portal cannot start or go on."""
    stop_request = ShutdownFlag()
    try:
        place = _place()
        with preflight.claim_data_dir(place.data_dir):
            welcome = _prepare(place.host)
            stop_request.leaves_at_once = False
            _serve(place, welcome=welcome, stop_request=stop_request)
    except NotReady as reason:
        sys.stderr.write(f"{reason}\n")
        return 1
    return 0


def _place() -> ServerConfig:
    """Read the environment, and write it back whole: all that is started below reads the same."""
    place = ServerConfig(
        host=os.environ.get("HOST") or "127.0.0.1",
        port=preflight.number("PORT", 8000, highest=65535),
        data_dir=Path(os.environ.get("DATA_DIR") or ROOT / "var").expanduser().resolve(),
        workers=preflight.number("WEB_WORKERS", 2, highest=256),
        threads=preflight.number("WEB_THREADS", 16, highest=256),
    )
    preflight.refuse_taken_port(place.host, place.port)
    preflight.make_data_dir(place.data_dir)
    os.environ.update(PORT=str(place.port), DATA_DIR=str(place.data_dir))
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    os.environ.setdefault("PGCONNECT_TIMEOUT", "10")
    return place


def _prepare(host: str) -> str:
    """Make the database and the files ready. Returns what a newcomer should read, secret and all:
    it is for the terminal, and for no log."""
    preflight.read_settings()
    django.setup()
    preflight.ask_database()
    preflight.ask_redis()
    try:
        _say("Preparing the database…")
        call_command("migrate", interactive=False, verbosity=0)
        _say("Collecting the static files…")
        call_command("collectstatic", interactive=False, verbosity=0)
        for message in checks.run_checks(databases=["default"]):
            _say(str(message))
        welcome = _seed(host)
    except DatabaseError as error:
        raise NotReady(f"The database cannot be prepared: {error}") from None
    connections.close_all()
    return welcome


def _seed(host: str) -> str:
    """Fill an empty database with the demo; but its passwords are known to everybody, so only where
    nobody but this machine can come in."""
    if not preflight.is_local(host, settings.BASE_URL):
        return (
            "\nThe demo is for this machine alone. If nobody can sign in yet, begin with:\n"
            "  .venv/bin/python manage.py create_account NAME --administrator E-MAIL\n"
        )
    told = io.StringIO()
    call_command("seed_demo", if_empty=True, stdout=told)
    return told.getvalue() or (
        "\nThe database has users: sign in as one of them. Create an API token there and try it:\n"
        f"  curl -H 'Authorization: APIKey <token>' '{settings.BASE_URL}/iam/clients/me'\n"
    )


def _serve(place: ServerConfig, *, welcome: str, stop_request: ShutdownFlag) -> None:
    _say("Starting the web server and the worker…")
    children = [_start_web_server(place), _start_worker()]
    try:
        processes.watch(
            children,
            until=lambda: bool(stop_request) or _is_answering(place),
            within=ANSWERS_WITHIN,
        )
        if not stop_request:
            _say(f"\nPermatoken is ready: {settings.BASE_URL}\n{welcome}\nStop it with Ctrl-C.")
            processes.watch(children, until=lambda: bool(stop_request))
    except processes.Ended as ended:
        raise NotReady(f"{ended} The lines above may say why.") from None
    except TimeoutError:
        raise NotReady(f"The portal did not answer within {ANSWERS_WITHIN} seconds.") from None
    finally:
        _say("\nStopping, which takes a few seconds…")
        processes.stop(children)


def _start_web_server(place: ServerConfig) -> processes.Child:
    return processes.start(
        "web server",
        [
            *(sys.executable, "-m", "granian", "--interface", "wsgi", "--no-ws"),
            *("--host", place.host, "--port", str(place.port)),
            *("--workers", str(place.workers), "--blocking-threads", str(place.threads)),
            # A warning would say that there are more threads than processors. They are for those
            # who wait: for the database, a password's hash, or a slow client.
            *("--respawn-failed-workers", "--log-level", "error"),
            "config.wsgi:application",
        ],
        folder=ROOT,
    )


def _start_worker() -> processes.Child:
    return processes.start(
        "worker",
        [
            *(sys.executable, "-m", "celery", "--quiet", "-A", "config", "worker", "--beat"),
            *("--concurrency", "2", "--loglevel", "WARNING"),
            *("--without-gossip", "--without-mingle", "--without-heartbeat"),
        ],
        folder=ROOT,
        # Celery warns root of messages in pickle. Ours are JSON.
        PYTHONWARNINGS="ignore:You're running the worker with superuser privileges",
    )


def _is_answering(place: ServerConfig) -> bool:
    """True once the portal answers that it is well."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(place.host, place.host)  # noqa: S104
    connection = http.client.HTTPConnection(host, place.port, timeout=5)
    try:
        connection.request("GET", "/healthz", headers={"Host": urlsplit(settings.BASE_URL).netloc})
        return connection.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _say(text: str) -> None:
    with contextlib.suppress(OSError):  # the terminal may be gone; what remains to do is done still
        sys.stdout.write(f"{text}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
