"""Two webs behind nginx with TLS, a worker and a beat, by the commands of the units.

As docs/operations/install.md has them on one machine, from the files of deploy/.
"""

import contextlib
import ctypes
import http.client
import os
import re
import shlex
import signal
import ssl
import subprocess
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import pytest

from config.env.variables import CREDENTIALS, FILES, VARIABLES
from tests import services
from tests.conftest import nginx_path
from tests.examples.test_nginx import running
from tests.launcher.portal import wait_until
from tests.portal import ROOT, free_port

pytestmark = [pytest.mark.nginx, pytest.mark.timeout(600)]
DEPLOY = ROOT / "deploy"
NAME = "tokens.example.com"
PASSWORD = "a password of the reader's own"
_PR_SET_NO_NEW_PRIVS, _PR_SET_MDWE = 38, 65
Process = subprocess.Popen[bytes]


class Machine(NamedTuple):
    """The ports of nginx and of the webs, the webs, a token, and nginx's log."""

    tls: int
    plain: int
    ports: tuple[int, int]
    webs: dict[int, Process]
    settings: dict[str, str]
    token: str
    folder: Path

    def ask(self, path: str, token: str = "") -> tuple[int, http.client.HTTPMessage, bytes]:
        """Ask over TLS, by the name of the portal."""
        context = ssl.create_default_context(cafile=str(self.folder / "certificate.pem"))
        context.check_hostname = False  # 127.0.0.1 is none of its names
        connection = http.client.HTTPSConnection("127.0.0.1", self.tls, timeout=30, context=context)
        with contextlib.closing(connection):
            connection.request(
                "GET", path, headers={"Host": NAME, "Authorization": f"APIKey {token}"}
            )
            answer = connection.getresponse()
            return answer.status, answer.msg, answer.read()

    def start_web(self, port: int) -> None:
        self.webs[port] = start("permatoken-web@.service", str(port), self.settings)
        wait_until(lambda: probe(port))

    def stop_web(self, port: int) -> int:
        self.webs[port].send_signal(signal.SIGTERM)
        return self.webs[port].wait(timeout=60)


def command_of(unit: str, instance: str) -> tuple[list[str], dict[str, str]]:
    """What systemd would run, and with which environment, if this were /opt/permatoken."""
    text = (DEPLOY / "systemd" / unit).read_text().replace("/opt/permatoken", str(ROOT))
    text = text.replace("%i", instance).replace("%%", "%")
    (command,) = re.findall(r"^ExecStart=(.*)$", text, re.MULTILINE)
    pairs = re.findall(r"^Environment=(\w+)=(.*)$", text, re.MULTILINE)
    return shlex.split(command), dict(pairs)


def start(unit: str, instance: str, settings: Mapping[str, str]) -> Process:
    command, own = command_of(unit, instance)
    return subprocess.Popen(
        command, cwd="/", env={**settings, **own}, preexec_fn=_forbid, stdin=subprocess.DEVNULL
    )


def _forbid() -> None:
    """As NoNewPrivileges and MemoryDenyWriteExecute do, where the kernel knows it."""
    libc = ctypes.CDLL(None)
    libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    libc.prctl(_PR_SET_MDWE, 1, 0, 0, 0)


def probe(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/readyz")
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()


def run(settings: Mapping[str, str], *words: str, typed: str = "") -> str:
    done = subprocess.run(
        [DEPLOY / "permatoken", *words],
        env=dict(settings),
        input=typed,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.strip()


@pytest.fixture(scope="module")
def unit_settings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """What the units have: permatoken.env, and the secrets that make-secrets makes."""
    folder = tmp_path_factory.mktemp("machine")
    credentials = folder / "credentials"
    subprocess.run([DEPLOY / "make-secrets", credentials], check=True)
    text = (DEPLOY / "permatoken.env").read_text()
    written = dict(re.findall(r"^([A-Z_]+)=(.*)$", text, re.MULTILINE))
    inherited = {
        name: value for name, value in os.environ.items() if name not in (*VARIABLES, *FILES)
    }
    with services.postgresql(is_durable=False) as database, services.redis() as redis:
        (credentials / "database_url").write_text(f"{database}\n")
        (credentials / "redis_url").write_text(f"{redis}\n")
        yield {
            **inherited,
            **{name: value.strip('"') for name, value in written.items()},
            "DATA_DIR": str(folder / "data"),
            CREDENTIALS: str(credentials),
        }


@contextlib.contextmanager
def proxy(ports: tuple[int, int], folder: Path) -> Iterator[tuple[int, int]]:
    """nginx with the files of deploy/nginx; yields its ports for TLS and without."""
    tls, plain = free_port(), free_port()
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt"),
            *("ec_paramgen_curve:prime256v1", "-nodes", "-subj", f"/CN={NAME}"),
            *("-keyout", "key.pem", "-out", "certificate.pem"),
        ],
        cwd=folder,
        check=True,
        capture_output=True,
    )
    text = "".join(
        (DEPLOY / "nginx" / name).read_text() for name in ("permatoken.conf", "webs-of-units.conf")
    )
    for printed, own in (
        ("listen 443 ssl;", f"listen 127.0.0.1:{tls} ssl;"),
        ("listen 80;", f"listen 127.0.0.1:{plain};"),
        ("/etc/permatoken/tls", str(folder)),
        ("/var/log/nginx/permatoken.log", str(folder / "access.log")),
        ("127.0.0.1:8000 ", f"127.0.0.1:{ports[0]} "),
        ("127.0.0.1:8001 ", f"127.0.0.1:{ports[1]} "),
    ):
        assert printed in text, printed
        text = text.replace(printed, own)
    file = folder / "nginx.conf"
    temporary = " ".join(
        f"{each}_temp_path {folder}/{each};"
        for each in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    file.write_text(
        f"daemon off; pid {folder}/nginx.pid; error_log stderr; events {{}}\n"
        f"http {{ {temporary}\n{text}}}\n"
    )
    with running([nginx_path() or "nginx", "-p", str(folder), "-c", str(file)], tls):
        yield tls, plain


@pytest.fixture(scope="module")
def machine(unit_settings: dict[str, str]) -> Iterator[Machine]:
    migrate = start("permatoken-migrate.service", "", unit_settings)
    assert migrate.wait(timeout=300) == 0
    run(
        unit_settings,
        *("manage", "create_account", "My Company", "--administrator", "maria@example.com"),
        *("--name", "Maria", "--password-stdin"),
        typed=f"{PASSWORD}\n",
    )
    token = run(
        unit_settings,
        *("manage", "issue_token", "--account", "My Company", "--issuer", "maria@example.com"),
        *("--role", "Users", "--name", "Try"),
    )
    ports = (free_port(), free_port())
    with tempfile.TemporaryDirectory(prefix="permatoken-nginx-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        others = [
            start("permatoken-worker@.service", "1", unit_settings),
            start("permatoken-beat.service", "", unit_settings),
        ]
        webs = dict[int, Process]()
        try:
            with proxy(ports, folder) as (tls, plain):
                found = Machine(tls, plain, ports, webs, unit_settings, token, folder)
                for port in ports:
                    found.start_web(port)
                yield found
        finally:
            for each in (*webs.values(), *others):
                each.terminate()
            for each in (*webs.values(), *others):
                each.wait(timeout=60)


def test_people_are_told_and_tokens_verified(machine: Machine) -> None:
    wait_until(lambda: machine.ask("/healthz")[0] == 200)

    status, headers, _body = machine.ask("/iam/auth/verify", machine.token)

    assert (status, headers["X-Auth-Role"]) == (200, "Users")
    assert machine.ask("/iam/auth/verify", f"{machine.token}x")[0] == 401
    page, headers, body = machine.ask("/sign-in/")
    assert (page, "Strict-Transport-Security" in headers) == (200, True)
    assert re.fullmatch(r"[0-9a-f]{32}", headers["X-Request-ID"])  # it is nginx's
    assert b"Permatoken" in body


def test_verification_goes_on_while_one_web_after_the_other_is_stopped(
    machine: Machine,
) -> None:
    answers, ended = Counter[int](), threading.Event()

    def ask() -> None:
        while not ended.is_set():
            answers[machine.ask("/iam/auth/verify", machine.token)[0]] += 1

    askers = [threading.Thread(target=ask) for _ in range(2)]
    for each in askers:
        each.start()
    try:
        for port in machine.ports:
            before = answers[200]
            assert machine.stop_web(port) == 0
            assert not probe(port)
            wait_until(lambda seen=before: answers[200] > seen + 20)  # type: ignore[misc]
            machine.start_web(port)
            time.sleep(0.5)
    finally:
        ended.set()
        for each in askers:
            each.join()

    assert set(answers) == {200}


def test_plain_http_is_sent_on(machine: Machine) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", machine.plain, timeout=10)
    with contextlib.closing(connection):
        connection.request("GET", "/sign-in/?next=/", headers={"Host": NAME})
        answer = connection.getresponse()

    assert answer.status == 301
    assert answer.headers["Location"] == f"https://{NAME}/sign-in/?next=/"


def test_secret_links_stay_out_of_the_log_of_nginx(machine: Machine) -> None:
    for path in (
        *("/invitations/s3cr3t/", "/sign-up/confirm/s3cr3t/", "/password/new/s3cr3t/"),
        *("/notifications/unsubscribe/s3cr3t/", "/profile/email/s3cr3t/"),
    ):
        machine.ask(path)
    machine.ask("/is-logged/")

    log = machine.folder / "access.log"
    wait_until(lambda: "/is-logged/" in log.read_text())
    assert "s3cr3t" not in log.read_text()
