"""Real proxies with the configurations of examples/proxies, on ports of their own."""

import contextlib
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import NamedTuple

from tests.documentation.blocks import block_at
from tests.portal import ROOT, free_port

FOLDER = ROOT / "examples" / "proxies"
PORTAL, SERVICE, SITE = "8000", "8090", "8080"
"""The ports in the examples."""
NAMES = ("nginx", "caddy", "traefik", "envoy", "haproxy")
_STARTED_WITHIN = 30


class Kind(NamedTuple):
    """The files of a proxy's example, and what is said to it beside what the page says."""

    files: tuple[str, ...]
    also: str = ""


KINDS = {
    "nginx": Kind(("nginx.conf",)),
    "caddy": Kind(("Caddyfile",)),
    "traefik": Kind(("traefik.yaml", "traefik-routes.yaml")),
    "envoy": Kind(("envoy.yaml",), "--log-level error --concurrency 2 --disable-hot-restart"),
    "haproxy": Kind(("haproxy.cfg", "permatoken.lua")),
}


def starting(name: str) -> str:
    """The line of the page that starts this proxy in the folder of its files."""
    enter, *commands = block_at("docs/proxies.md: cd examples/proxies").text.splitlines()
    assert ROOT / enter.removeprefix("cd ") == FOLDER
    (command,) = (each for each in commands if name in each.split())
    return re.sub(rf"(^|&& )({name}) ", r"\1exec \2 ", command)


def starting_portal_and_service() -> tuple[str, str]:
    """The two lines of the page for that."""
    block = block_at("docs/proxies.md: TRUSTED_PROXIES=127.0.0.1 make run")
    portal, service = (each.partition("#")[0].strip() for each in block.text.splitlines())
    return portal, service


def path_of(name: str) -> str | None:
    """Where the program is: of Debian, or in the virtual environment (from its wheel)."""
    beside = Path(sys.executable).parent
    return shutil.which(name, path=f"{beside}:/usr/sbin:/usr/bin:/usr/local/bin")


@contextlib.contextmanager
def proxy(
    name: str, *, portal_port: int, service_port: int, broken: tuple[str, str] = ("", "")
) -> Iterator[int]:
    """Run the proxy; yields its port. Of `broken`, the second text stands in place of the first."""
    program, port = path_of(name), free_port()
    assert program is not None
    ports = ((PORTAL, portal_port), (SERVICE, service_port), (SITE, port))
    with tempfile.TemporaryDirectory(prefix=f"permatoken-{name}-") as folder:
        Path(folder).chmod(0o755)
        for file in KINDS[name].files:
            Path(folder, file).write_text(
                _with_ports((FOLDER / file).read_text().replace(*broken), ports)
            )
        # Some of these programs are in folders that are on the path of root alone.
        place = f"PATH={Path(program).parent}:$PATH TMPDIR={folder}"
        command = f"export {place}; {starting(name)} {KINDS[name].also}"
        with running(["bash", "-c", command], port, folder=folder):
            yield port


def _with_ports(text: str, ports: tuple[tuple[str, int], ...]) -> str:
    for example, own in ports:
        for before in ("127.0.0.1:", "http://:", "port_value: "):
            text = text.replace(f"{before}{example}", f"{before}{own}")
    return text


@contextlib.contextmanager
def service() -> Iterator[int]:
    """The service behind the proxies; yields its port."""
    port = free_port()
    _portal, command = starting_portal_and_service()
    with running(["bash", "-c", f"exec {command} {port}"], port, folder=str(ROOT)):
        yield port


@contextlib.contextmanager
def running(command: list[str], port: int, *, folder: str) -> Iterator[None]:
    with tempfile.TemporaryFile("w+") as log:
        process = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log)
        try:
            _wait_for(port, process)
            yield
        except RuntimeError as fault:
            log.seek(0)
            raise RuntimeError(f"{fault}\n{log.read()}") from None
        finally:
            process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(timeout=10)
            process.kill()
            process.wait()


def _has_routes(port: int) -> bool:
    """Whether it answers anything but that it knows nothing yet, as Traefik does for a moment."""
    with (
        contextlib.suppress(OSError, HTTPException),
        contextlib.closing(HTTPConnection("127.0.0.1", port, timeout=5)) as connection,
    ):
        connection.request("GET", "/")
        return connection.getresponse().status != HTTPStatus.NOT_FOUND
    return False


def _wait_for(port: int, process: "subprocess.Popen[bytes]") -> None:
    deadline = time.monotonic() + _STARTED_WITHIN
    while time.monotonic() < deadline and process.poll() is None:
        if _has_routes(port):
            return
        time.sleep(0.05)
    raise RuntimeError(f"{process.args!r} does not listen on port {port}.")
