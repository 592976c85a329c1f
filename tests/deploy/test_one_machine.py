"""Two webs behind nginx with TLS, a worker and a beat, by the commands of the units.

As docs/operations/install.md has them on one machine, from the files of deploy/.
"""

import contextlib
import ctypes
import http.client
import os
import re
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
from tests.deploy.installation import NAME, Reader
from tests.documentation.blocks import block_at
from tests.launcher.portal import wait_until
from tests.operations.backups.test_there_and_back import PROGRAMS
from tests.portal import ROOT
from tests.secret_paths import SECRET, secret_paths

pytestmark = [pytest.mark.nginx, pytest.mark.timeout(600)]
DEPLOY = ROOT / "deploy"
PASSWORD = "a password of the reader's own"
_PR_SET_NO_NEW_PRIVS, _PR_SET_MDWE = 38, 65
Process = subprocess.Popen[bytes]


class Machine(NamedTuple):
    """The reader of the page, their webs, and a token."""

    reader: Reader
    webs: dict[int, Process]
    settings: dict[str, str]
    token: str

    def ask(self, path: str, token: str = "") -> tuple[int, http.client.HTTPMessage, bytes]:
        """Ask over TLS, by the name of the portal."""
        context = ssl.create_default_context(cafile=str(self.reader.etc / "tls/certificate.pem"))
        context.check_hostname = False  # 127.0.0.1 is none of its names
        connection = http.client.HTTPSConnection(
            "127.0.0.1", self.reader.tls, timeout=30, context=context
        )
        with contextlib.closing(connection):
            connection.request(
                "GET", path, headers={"Host": NAME, "Authorization": f"APIKey {token}"}
            )
            answer = connection.getresponse()
            return answer.status, answer.msg, answer.read()

    def start_web(self, port: int) -> None:
        self.webs[port] = start(self.reader, f"permatoken-web@{port}", self.settings)
        wait_until(lambda: probe(port))

    def stop_web(self, port: int) -> int:
        self.webs[port].send_signal(signal.SIGTERM)
        return self.webs[port].wait(timeout=60)


def start(reader: Reader, unit: str, settings: Mapping[str, str]) -> Process:
    command, own = reader.command_of(unit)
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
def reader() -> Iterator[Reader]:
    """Who has followed the page up to the units: settings, secrets, PostgreSQL and Redis."""
    with (
        tempfile.TemporaryDirectory(prefix="permatoken-machine-") as name,
        services.postgresql(is_durable=False) as database,
    ):
        reader = Reader(Path(name), server=database)
        reader.follow(block_at("docs/operations/install.md: install -d"))
        reader.follow(block_at("docs/operations/install.md: runuser -u postgres"))
        with reader.redis():
            yield reader


@pytest.fixture(scope="module")
def unit_settings(reader: Reader) -> dict[str, str]:
    """What the units have: permatoken.env, and the secrets that make-secrets makes."""
    text = (reader.etc / "permatoken.env").read_text()
    written = dict(re.findall(r"^([A-Z_]+)=(.*)$", text, re.MULTILINE))
    inherited = {
        name: value for name, value in os.environ.items() if name not in (*VARIABLES, *FILES)
    }
    return {
        **inherited,
        **{name: value.strip('"') for name, value in written.items()},
        "DATA_DIR": str(reader.folder / "data"),
        CREDENTIALS: str(reader.etc / "credentials"),
    }


@pytest.fixture(scope="module")
def machine(reader: Reader, unit_settings: dict[str, str]) -> Iterator[Machine]:
    reader.follow(block_at("docs/operations/install.md: cp -r deploy/systemd"))
    migrate, *parts = reader.started_units()
    assert migrate == "permatoken-migrate"
    assert start(reader, migrate, unit_settings).wait(timeout=300) == 0
    reader.follow(
        block_at("docs/operations/install.md: permatoken-run manage create_account"), typed=PASSWORD
    )
    token = run(
        unit_settings,
        *("manage", "issue_token", "--account", "My Company", "--issuer", "maria@example.com"),
        *("--role", "Users", "--name", "Try"),
    )
    reader.follow(block_at("docs/operations/install.md: openssl req"))
    reader.follow(block_at("docs/operations/install.md: cp deploy/nginx"))
    others = [start(reader, each, unit_settings) for each in parts if "web@" not in each]
    assert len(others) == 2
    webs = dict[int, Process]()
    try:
        with reader.nginx():
            found = Machine(reader, webs, unit_settings, token)
            for port in reader.webs:
                found.start_web(port)
            yield found
    finally:
        for each in (*webs.values(), *others):
            each.terminate()
        for each in (*webs.values(), *others):
            each.wait(timeout=60)


def test_machine_of_the_page_serves(machine: Machine) -> None:
    """All looks in one test: one machine does for all of them."""
    _people_are_told_and_tokens_verified(machine)
    _last_look_of_the_page_finds_it_well(machine)
    _verification_goes_on_while_one_web_after_the_other_is_stopped(machine)
    _plain_http_is_sent_on(machine)
    _backup_is_made_into_its_folder(machine)
    _secret_links_stay_out_of_the_log_of_nginx(machine)
    _new_release_brings_its_units_and_its_configuration(machine)


def _people_are_told_and_tokens_verified(machine: Machine) -> None:
    wait_until(lambda: machine.ask("/healthz")[0] == 200)

    status, headers, _body = machine.ask("/iam/auth/verify", machine.token)

    assert (status, headers["X-Auth-Role"]) == (200, "Users")
    assert machine.ask("/iam/auth/verify", f"{machine.token}x")[0] == 401
    page, headers, body = machine.ask("/sign-in/")
    assert (page, "Strict-Transport-Security" in headers) == (200, True)
    assert re.fullmatch(r"[0-9a-f]{32}", headers["X-Request-ID"])  # it is nginx's
    assert b"Permatoken" in body


def _last_look_of_the_page_finds_it_well(machine: Machine) -> None:
    wait_until(lambda: machine.ask("/healthz")[0] == 200)

    said = machine.reader.follow(block_at("docs/operations/install.md: curl --fail"))

    assert '"status":"ok"' in said
    assert "database" in said  # the doctor's


def _verification_goes_on_while_one_web_after_the_other_is_stopped(
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
        for port in machine.reader.webs:
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


def _plain_http_is_sent_on(machine: Machine) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", machine.reader.plain, timeout=10)
    with contextlib.closing(connection):
        connection.request("GET", "/sign-in/?next=/", headers={"Host": NAME})
        answer = connection.getresponse()

    assert answer.status == 301
    assert answer.headers["Location"] == f"https://{NAME}/sign-in/?next=/"


def _backup_is_made_into_its_folder(machine: Machine) -> None:
    reader = machine.reader
    reader.follow(block_at("docs/operations/install.md: install -d -o"))
    assert "enable --now permatoken-backup.timer" in reader.told_to_systemd()
    assert reader.told_to_systemd()[-1] == "start permatoken-backup"
    path = f"{PROGRAMS}:{machine.settings['PATH']}"

    done = start(reader, "permatoken-backup", {**machine.settings, "PATH": path})

    assert done.wait(timeout=120) == 0
    (made,) = (reader.folder / "backups" / "permatoken").glob("permatoken-*")
    assert (made / "manifest.json").exists()
    assert made.parent.stat().st_mode & 0o777 == 0o700


def _secret_links_stay_out_of_the_log_of_nginx(machine: Machine) -> None:
    for path in secret_paths():
        machine.ask(path)
    machine.ask("/is-logged/")

    log = machine.reader.folder / "permatoken.log"
    wait_until(lambda: "/is-logged/" in log.read_text())
    assert SECRET not in log.read_text()


def _new_release_brings_its_units_and_its_configuration(machine: Machine) -> None:
    reader, etc = machine.reader, machine.reader.folder / "etc"
    older = (etc / "systemd/system/permatoken-beat.service", etc / "nginx/conf.d/permatoken.conf")
    for file in older:
        file.write_text("of the older release;\n")
    told = len(reader.told_to_systemd())

    reader.follow(block_at("docs/operations/install.md: /opt/permatoken/deploy/make-secrets"))

    assert [file for file in older if "older" in file.read_text()] == []
    parts = ("web@8000", "web@8001", "worker@1", "beat")
    assert reader.told_to_systemd()[told:] == [
        *("daemon-reload", "reload nginx"),
        *(f"restart permatoken-{part}" for part in parts),
    ]
