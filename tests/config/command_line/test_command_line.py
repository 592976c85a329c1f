"""`permatoken ROLE`: what containers and units call."""

import fcntl
import http.client
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path

import psutil
import pytest
from celery import Celery

from config.command_line import __main__ as command_line
from tests.launcher.portal import PATIENCE, ROOT, environment_of, have_ended, wait_until
from tests.portal import free_port, prepared

PROGRAM = ROOT / "deploy" / "permatoken"
PEPPER = "1:" + "0a" * 32


def call(
    words: str, data_dir: Path, *, port: int = 8000, folder: str = "/", **environment: str
) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [PROGRAM, *words.split()],
        cwd=folder,
        env=environment_of(data_dir, port=port, **environment),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
    )


@contextmanager
def running(
    words: str, data_dir: Path, *, port: int = 8000, **environment: str
) -> Iterator["subprocess.Popen[bytes]"]:
    with (data_dir.parent / "log").open("wb") as log:
        process = subprocess.Popen(
            [PROGRAM, *words.split()],
            cwd="/",
            env=environment_of(data_dir, port=port, **environment),
            stdout=log,
            stderr=log,
        )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.terminate()
        process.wait(timeout=60)


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    return tmp_path / "data"


@pytest.fixture
def migrated(data_dir: Path) -> Path:
    """The data of a portal that has served."""
    return shutil.copytree(prepared(), data_dir)


@pytest.mark.parametrize("words", ["", "pages"])
def test_what_is_no_role_is_answered_with_the_usage(words: str, data_dir: Path) -> None:
    done = call(words, data_dir)

    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == command_line.USAGE
    assert not data_dir.exists()


@pytest.mark.parametrize("module", ["accounts", "operations", "config", "json"])
def test_nothing_is_imported_from_the_folder_that_it_is_called_in(
    module: str, migrated: Path, tmp_path: Path
) -> None:
    """It may be that of another release."""
    (tmp_path / f"{module}.py").write_text("raise SystemExit('imported')\n")

    done = call("manage check", migrated, folder=str(tmp_path))

    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("role", ["worker", "beat"])
def test_celery_is_not_started_beside_other_code(role: str, migrated: Path, tmp_path: Path) -> None:
    """It would import that, whatever the environment says."""
    (tmp_path / "config").mkdir()

    done = call(role, migrated, folder=str(tmp_path))

    assert done.returncode == 2
    assert f"{tmp_path} has code of its own by the name config" in done.stderr


def test_help_is_no_failure(data_dir: Path) -> None:
    done = call("--help", data_dir)

    assert (done.returncode, done.stdout, done.stderr) == (0, command_line.USAGE, "")


@pytest.mark.parametrize(
    ("role", "name", "wrong"),
    [
        ("web", "TOKEN_PEPPERS", "swordfish"),
        ("web", "WEB_WORKERS", "many"),
        ("worker", "BASE_URL", "tokens.example.com"),
        ("beat", "NOTICES_EVERY_SECONDS", "0"),
        ("migrate", "DATABASE_URL", "swordfish"),
        ("manage check", "SERVES", "pages"),
        ("manage backup --to /dev/null", "DATA_DIR", "/dev/null"),
    ],
)
def test_wrong_setting_ends_each_role_with_a_sentence(
    role: str, name: str, wrong: str, data_dir: Path
) -> None:
    done = call(role, data_dir, port=8000, **{name: wrong})

    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith(f"The settings can't be used: {name} must ")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("role", ["web", "migrate"])
def test_folder_that_cannot_be_written_to_is_a_wrong_setting(role: str, data_dir: Path) -> None:
    data_dir.mkdir()
    done = call(
        role,
        Path("/proc/permatoken"),
        SECRET_KEY="a key",
        TOKEN_PEPPERS=PEPPER,
        DATABASE_URL=f"sqlite:///{data_dir}/permatoken.sqlite3",
    )

    assert done.returncode == 2, done.stderr
    assert done.stderr.startswith("DATA_DIR /proc/permatoken can't be written to (")
    assert done.stderr.count("\n") == 1


def test_wrong_pepper_is_a_wrong_setting(migrated: Path) -> None:
    for role in ("web", "worker", "beat"):
        done = call(role, migrated, TOKEN_PEPPERS=PEPPER)

        assert done.returncode == 2, done.stderr
        assert done.stderr.startswith("This process does not serve. ")
        assert done.stderr.count("\n") == 1


def test_port_that_is_taken_is_told_in_a_sentence(migrated: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = call("web", migrated, port=port)

    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"Port {port} is in use. Choose another: PORT={port + 1}\n"


def test_migrations_come_with_static_files(data_dir: Path) -> None:
    done = call("migrate", data_dir)

    assert done.returncode == 0, done.stderr
    assert (data_dir / "static" / "staticfiles.json").exists()
    assert (data_dir / "permatoken.sqlite3").exists()


def test_static_files_of_an_image_are_taken_as_they_are(migrated: Path, tmp_path: Path) -> None:
    brought = tmp_path / "brought"
    brought.mkdir(mode=0o500)

    done = call("migrate", migrated, STATIC_DIR=str(brought))

    assert done.returncode == 0, done.stderr
    assert list(brought.iterdir()) == []


def status(port: int, path: str, host: str = "127.0.0.1") -> int | None:
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=5)) as connection:
        try:
            connection.request("GET", path, headers={"Host": host})
            return connection.getresponse().status
        except OSError:
            return None


def test_web_serves_and_ends_in_order(migrated: Path) -> None:
    port = free_port()
    with running("web", migrated, port=port, WEB_WORKERS="1") as process:
        wait_until(lambda: status(port, "/readyz") == 200)
        assert call("probe web", migrated, port=port).returncode == 0
        family = psutil.Process(process.pid).children(recursive=True)
        assert "granian" in psutil.Process(process.pid).cmdline()

        process.send_signal(signal.SIGTERM)

        assert process.wait(timeout=30) == 0
        wait_until(lambda: have_ended(family))
    assert call("probe web", migrated, port=port).returncode == 1


@pytest.mark.parametrize("role", ["worker", "beat"])
def test_background_roles_work_and_end_in_order(role: str, migrated: Path) -> None:
    with running(role, migrated) as process:
        wait_until(lambda: call(f"probe {role}", migrated).returncode == 0)
        assert psutil.Process(process.pid).cmdline()[1:3] == ["-m", "celery"]

        process.send_signal(signal.SIGTERM)

        assert process.wait(timeout=60) == 0


def test_worker_that_is_stopped_is_found_beside_one_of_another_container(migrated: Path) -> None:
    def code() -> int:
        return call("probe worker", migrated).returncode

    with running("worker", migrated) as process:
        wait_until(lambda: code() == 0)
        (sign,) = (migrated / "alive").glob("worker-*")
        process.send_signal(signal.SIGSTOP)
        try:
            other = sign.with_name(sign.name.replace(socket.gethostname(), "elsewhere"))
            with other.open("w") as elsewhere:
                fcntl.flock(elsewhere, fcntl.LOCK_EX)
                os.utime(sign, (0, 0))
                assert code() == 1
        finally:
            process.send_signal(signal.SIGCONT)
        wait_until(lambda: code() == 0)


HANGING = """
import functools, pathlib, sys, time
from celery.signals import worker_ready
from config.celery import app
from operations.probes import worker

worker.EVERY_SECONDS, worker.LOOP_SECONDS = 0.1, 1.0

@worker_ready.connect
def begin(sender, **facts):
    if sys.argv[1] == "hangs":
        sender.call_soon(functools.partial(time.sleep, 600))
    pathlib.Path(sys.argv[2]).touch()

app.worker_main(["--quiet", "worker", "--concurrency", "1", "--without-mingle"])
"""


@pytest.mark.long
@pytest.mark.parametrize("loop", ["hangs", "goes on"])
def test_worker_whose_main_loop_hangs_shows_itself_no_longer(
    loop: str, migrated: Path, redis_url: str, tmp_path: Path
) -> None:
    """Its threads go on all the same, and its tasks run in other processes."""
    ready = tmp_path / "ready"
    worker = subprocess.Popen(
        [sys.executable, "-c", HANGING, loop, ready],
        cwd=ROOT,
        env=environment_of(migrated, port=8000, REDIS_URL=redis_url),
    )

    def shown_at() -> float:
        (sign,) = (migrated / "alive").glob("worker-*")
        return sign.stat().st_mtime

    try:
        wait_until(ready.exists)
        if loop == "hangs":
            wait_until(lambda: time.time() - shown_at() > 5)
        else:
            wait_until(lambda: shown_at() - ready.stat().st_mtime > 5)
        assert worker.poll() is None
    finally:
        worker.kill()
        worker.wait()


@pytest.mark.long
def test_two_workers_of_a_machine_are_two_to_celery(migrated: Path, redis_url: str) -> None:
    """By the names that the README prints: two of one name would be one."""
    names = re.findall(r"worker-\d@%h", (ROOT / "README.md").read_text())
    control = Celery(broker=redis_url).control

    def answering() -> set[str]:
        return {name for answer in control.ping(timeout=1) or () for name in answer}

    with ExitStack() as running_ones:
        for name in names:
            words = f"worker --hostname {name}"
            running_ones.enter_context(running(words, migrated, REDIS_URL=redis_url))
        wait_until(lambda: len(answering()) == 2)
        assert {each.partition("@")[0] for each in answering()} == {"worker-1", "worker-2"}


@pytest.mark.parametrize(
    ("own", "name"), [("", "permatoken-manage"), ("db-client-7", "db-client-7")]
)
def test_postgresql_is_told_whose_a_connection_is(
    own: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """libpq reads the variable, in whatever the process becomes."""
    monkeypatch.setenv("PGAPPNAME", own)
    if not own:
        monkeypatch.delenv("PGAPPNAME")
    monkeypatch.setattr(os, "execv", lambda _program, _command: None)

    command_line.main(["manage", "check"])

    assert os.environ["PGAPPNAME"] == name


def test_options_go_on_to_the_worker(migrated: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    become = list[str]()
    monkeypatch.setattr(command_line, "_look_at_settings", lambda: None)
    monkeypatch.setattr(os, "execv", lambda _program, command: become.extend(command))

    command_line.main(["worker", "--hostname", "worker-2@%h"])

    assert become[-2:] == ["--hostname", "worker-2@%h"]
    assert become[1:3] == ["-m", "celery"]


def test_options_of_the_web_server_stand_before_the_application(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    become = list[str]()
    monkeypatch.setattr(command_line, "_look_at_settings", lambda: None)
    monkeypatch.setattr(command_line, "check_port", lambda *_facts, **_more: None)
    monkeypatch.setattr(os, "execv", lambda _program, command: become.extend(command))

    command_line.main(["web", "--backlog", "2048"])

    assert become[-3:] == ["--backlog", "2048", "config.wsgi:application"]
    assert "--respawn-failed-workers" in become
