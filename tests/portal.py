"""The portal as it is served: a real web server on its own data, seen from outside."""

import contextlib
import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
START_SECONDS = 60
GRANIAN = ("granian", "--interface", "wsgi", "--host", "127.0.0.1", "--port", "{port}")


class Portal(NamedTuple):
    """Where it answers, where it keeps its data, and what the demo printed."""

    url: str
    data_dir: Path
    demo: str


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
    _manage(settings, "migrate", "-v0")
    _manage(settings, "collectstatic", "--noinput", "-v0")
    demo = _manage(settings, "seed_demo")
    with (data_dir / "web.log").open("wb") as log:
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
            yield Portal(url, data_dir, demo)
        finally:
            process.terminate()
            process.wait(timeout=20)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _manage(settings: dict[str, str], *command: str) -> str:
    done = subprocess.run(
        [sys.executable, "manage.py", *command],
        cwd=ROOT,
        env=settings,
        check=True,
        capture_output=True,
        text=True,
    )
    return done.stdout


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
