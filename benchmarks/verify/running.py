"""Serves and measures the applications of the bench: in a process, by granian, by nginx."""

import json
import os
import secrets
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

import psycopg

from benchmarks.verify import load
from benchmarks.verify.contestants import Contestant
from tests import services

ROOT = Path(__file__).resolve().parent.parent.parent
PYTHON = ROOT / "var" / "benchmarks" / "venv" / "bin" / "python"
MODULES = {
    "peers": "benchmarks.verify.peers.wsgi",
    "portal": "config.wsgi",
    "uncounted": "benchmarks.verify.uncounted",
    "unleased": "config.wsgi",
    "few": "config.wsgi",
    "constant": "benchmarks.verify.constant",
}
COLD_EACH = 500
STOPPED_WITHIN = 20
"""Seconds. A server that has not ended its work then has none that matters."""
NGINX = """
daemon off;
pid {folder}/nginx.pid;
error_log stderr emerg;
worker_processes 2;
events {{}}
http {{
    access_log off;
    keepalive_requests 1000000000;
    client_body_temp_path {folder};
    proxy_temp_path {folder};
    fastcgi_temp_path {folder};
    uwsgi_temp_path {folder};
    scgi_temp_path {folder};
    server {{ listen 127.0.0.1:{port}; location / {{ return 200; }} }}
}}
"""


class Stall:
    """A process that measures its application through the WSGI handler, when it is told to."""

    def __init__(self, module: str, settings: dict[str, str]) -> None:
        self.process = subprocess.Popen(
            [PYTHON, "-m", "benchmarks.verify.stall", module],
            cwd=ROOT,
            env=settings,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def measure(self, contestant: Contestant, seconds: float, unseen: Iterator[Any]) -> float:
        """Microseconds of CPU for a request."""
        requests = list(islice(unseen, COLD_EACH)) if contestant.unseen else contestant.requests
        order = {"requests": requests, "seconds": seconds, "is_once": contestant.unseen}
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.write(f"{json.dumps(order)}\n")
        self.process.stdin.flush()
        told = json.loads(self.process.stdout.readline())
        assert set(told["statuses"]) == {contestant.status}, (contestant.name, told)
        return float(told["cpu_us"])

    def close(self) -> None:
        assert self.process.stdin
        self.process.stdin.close()
        self.process.wait()


class Settings:
    """The environment of each stall: one PostgreSQL with a database for the portal and one for the
    peers, and a Redis, as in the scaled shape."""

    def __init__(self, folder: Path, database: str, redis: str) -> None:
        self.folder, self._redis = folder, redis
        self._urls = {name: _make_database(database, name) for name in ("portal", "peers", "few")}
        self._secrets = {
            "SECRET_KEY": secrets.token_urlsafe(48),
            "TOKEN_PEPPERS": f"1:{secrets.token_hex(32)}",
        }

    def of(self, stall: str) -> dict[str, str]:
        (self.folder / "static").mkdir(exist_ok=True)
        return {
            **os.environ,
            **self._secrets,
            "DJANGO_SETTINGS_MODULE": (
                "benchmarks.verify.peers.settings" if stall == "peers" else "config.settings"
            ),
            "DATA_DIR": str(self.folder),
            "DATABASE_URL": self._urls.get(stall, self._urls["portal"]),
            "REDIS_URL": self._redis,
            "LOG_LEVEL": "ERROR",
            # One address sends all that is wrong here, and the limit would be what is measured.
            "REFUSAL_RATE": "0",
            "VERIFY_CACHE_SECONDS": "0" if stall == "unleased" else "1",
        }


@contextmanager
def served(
    contestant: Contestant, settings: "Settings", *, workers: int, threads: int
) -> Iterator[int]:
    """The contestant's application in granian, alone on the machine; yields the port."""
    port = services.free_port()
    if contestant.stall == "nginx":
        command = _nginx(settings, port)
    else:
        command = [
            *(str(PYTHON), "-m", "granian", "--interface", "wsgi", "--no-ws"),
            *("--log-level", "error", "--host", "127.0.0.1", "--port", str(port)),
            *("--workers", str(workers), "--blocking-threads", str(threads)),
            f"{MODULES[contestant.stall]}:application",
        ]
    server = subprocess.Popen(command, cwd=ROOT, env=settings.of(contestant.stall))
    try:
        _wait_for(port, contestant)
        yield port
    finally:
        server.terminate()
        try:
            server.wait(STOPPED_WITHIN)
        except subprocess.TimeoutExpired:
            server.kill()
            server.wait()


def _nginx(settings: "Settings", port: int) -> list[str]:
    file = settings.folder / "nginx.conf"
    file.write_text(NGINX.format(folder=settings.folder, port=port))
    return [nginx_path() or "nginx", "-p", str(settings.folder), "-c", str(file)]


def nginx_path() -> str | None:
    """Where nginx is, or None. Debian keeps it where only root looks."""
    return shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin")


def _wait_for(port: int, contestant: Contestant) -> None:
    """Until it answers what it should: a contestant that refuses would look fast."""
    request = contestant.requests[0]
    deadline = time.monotonic() + 60
    while (status := load.status(port, request)) != contestant.status:
        assert status is None, (contestant.name, status)
        assert time.monotonic() < deadline, contestant.name
        time.sleep(0.1)


def step(settings: Settings, stall: str, *command: str) -> dict[str, Any]:
    """Run a module of this package in the contestants' environment; returns what it prints."""
    module, *arguments = command
    done = subprocess.run(
        [PYTHON, "-m", f"benchmarks.verify.{module}", *arguments],
        cwd=ROOT,
        env=settings.of(stall),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    figures: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return figures


def _make_database(url: str, name: str) -> str:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"')
    return url.replace("/postgres?", f"/{name}?")
