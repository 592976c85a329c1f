"""Probes tell what they are for, and never hang."""

import json
import os
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from django.db import OperationalError, connection
from django.test import Client
from pytest_django import Settings

from apitokens.usage.flusher import UsageFlusher
from config.server import probes
from config.server.probes import answer_probes
from notifications.health import report
from operations.probes import alive, readiness, views, worker
from operations.probes.alive import Sign, seconds_since
from operations.probes.worker import WorkerSign
from tests import services
from tests.portal import ROOT

Wrapped = Any
JSON = [("Content-Type", "application/json")]
READY = {"database": "ok", "migrations": "ok", "peppers": "ok", "static_files": "ok"}


@pytest.fixture(autouse=True)
def nothing_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    """This process has just started, and has asked nothing yet."""
    monkeypatch.setattr(report, "uptime", timedelta)
    for each in (readiness.migrations, readiness.peppers, readiness.static_files):
        each.good_until = 0.0


def ask(client: Client, path: str, **headers: str) -> tuple[int, dict[str, Any]]:
    answer = client.get(path, headers=headers)
    return answer.status_code, answer.json()


# --- What they say -------------------------------------------------------------------------------


@pytest.mark.django_db
@pytest.mark.both
@pytest.mark.parametrize("host", ["10.1.2.3", "tokens.example.com:8443", "localhost"])
def test_probes_are_answered_under_any_host_and_without_tls(
    client: Client, host: str, settings: Settings
) -> None:
    settings.SECURE_SSL_REDIRECT = True
    assert ask(client, "/livez", host=host) == (200, {"status": "ok"})
    assert ask(client, "/readyz", host=host) == (200, {"status": "ok", "checks": READY})
    assert ask(client, "/healthz", host=host)[0] == 200


@pytest.mark.django_db
def test_process_is_not_ready_while_the_database_is_older(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        readiness, "newest_migrations", lambda: frozenset({("accounts", "0099_later")})
    )

    code, told = ask(client, "/readyz")

    assert (code, told["status"]) == (503, "not ready")
    assert "accounts.0099_later): run manage.py migrate" in told["checks"]["migrations"]


@pytest.mark.django_db
def test_process_is_not_ready_with_a_wrong_pepper_or_without_static_files(
    client: Client, settings: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(readiness, "faults", lambda _at: ["Pepper 1 is wrong."])
    settings.STATIC_ROOT = tmp_path

    code, told = ask(client, "/readyz")

    assert code == 503
    assert told["checks"]["peppers"] == "Pepper 1 is wrong."
    assert "collectstatic" in told["checks"]["static_files"]


@pytest.mark.django_db
def test_web_that_has_no_pages_is_ready_without_static_files(
    client: Client, settings: Settings, tmp_path: Path
) -> None:
    settings.SERVES, settings.STATIC_ROOT = "verification", tmp_path

    code, told = ask(client, "/readyz")

    assert code == 200
    assert told["checks"] == {"database": "ok", "migrations": "ok", "peppers": "ok"}


def test_process_without_a_database_is_alive_and_not_ready(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away() -> None:
        raise OperationalError

    monkeypatch.setattr(connection, "cursor", away)

    assert ask(client, "/livez")[0] == 200
    code, told = ask(client, "/readyz")
    assert (code, told["checks"]["database"]) == (503, "The database isn't responding.")


@pytest.mark.django_db
def test_late_mails_and_a_lost_redis_leave_a_process_ready(
    client: Client, settings: Settings
) -> None:
    settings.REDIS_URL = f"redis://127.0.0.1:{services.free_port()}/0"

    assert ask(client, "/readyz")[0] == 200
    code, told = ask(client, "/healthz")
    assert (code, told["status"], told["redis"]) == (503, "no redis", "isn't responding")


@pytest.mark.django_db
def test_usage_that_cannot_be_stored_is_told(
    client: Client, usage_flusher: UsageFlusher, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse() -> None:
        raise OperationalError("disk full")

    monkeypatch.setattr(usage_flusher, "_store_unseen_addresses", refuse)
    usage_flusher.flush()
    assert ask(client, "/healthz")[1]["status"] == "ok"  # for a moment that is no news
    monkeypatch.setattr(views, "USAGE_WAITS_AT_MOST", -1.0)
    assert ask(client, "/healthz")[1]["status"] == "usage waits"
    monkeypatch.undo()
    usage_flusher.flush()
    assert usage_flusher.waits_for == 0


@pytest.mark.django_db
def test_disk_that_refuses_is_told_and_takes_no_process_out(
    client: Client, settings: Settings, tmp_path: Path
) -> None:
    settings.DATA_DIR = tmp_path
    code, told = ask(client, "/healthz")
    assert (code, told["status"], told["data_dir"]) == (200, "ok", "ok")

    (tmp_path / "metrics").rmdir()
    (tmp_path / "metrics").touch()  # a file: nothing can be written into it
    code, told = ask(client, "/healthz")
    assert (code, told["status"], told["data_dir"]) == (503, "disk refuses", "File exists")
    assert ask(client, "/readyz")[0] == 200


# --- That they do not hang -----------------------------------------------------------------------


def get(serve: Wrapped, path: str, method: str = "GET") -> tuple[str, bytes]:
    begun: list[str] = []
    parts = serve(
        {"PATH_INFO": path, "REQUEST_METHOD": method}, lambda status, _headers: begun.append(status)
    )
    return begun[0], b"".join(parts)


def test_database_that_hangs_is_told_in_time_and_asked_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(probes, "SECONDS", 0.2)
    let_go, asked = threading.Event(), []

    def hang(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        asked.append(environ["PATH_INFO"])
        let_go.wait(20)
        start_response("200 OK", JSON)
        return [b"{}"]

    serve = answer_probes(hang)
    began = time.monotonic()
    for _each in range(50):
        status, body = get(serve, "/readyz")
        assert status == "503 Service Unavailable"
        assert json.loads(body)["status"] == "unavailable"
    assert time.monotonic() - began < 10  # 50 probes that wait by themselves would take as long
    assert get(serve, "/livez")[0] == "200 OK"
    assert asked == ["/readyz"]

    let_go.set()
    for _each in range(100):
        if get(serve, "/readyz")[0] == "200 OK":
            break
        time.sleep(0.02)
    assert get(serve, "/readyz") == ("200 OK", b"{}")


def test_answer_is_good_for_all_that_ask_within_a_second() -> None:
    asked: list[str] = []

    def answer(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        asked.append(environ["PATH_INFO"])
        start_response("200 OK", JSON)
        return [b"{}"]

    serve = answer_probes(answer)
    assert {get(serve, "/healthz") for _each in range(20)} == {("200 OK", b"{}")}
    assert get(serve, "/healthz", "HEAD") == ("200 OK", b"")
    assert asked == ["/healthz"]
    assert get(serve, "/healthz", "POST") == ("200 OK", b"{}")  # is Django's
    assert len(asked) == 2


def test_what_fails_in_front_of_the_view_is_told_to_machines_too() -> None:
    def answer(_environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        start_response("503 Service Unavailable", [("Content-Type", "text/html")])
        return [b"<!DOCTYPE html><title>Try again</title>"]

    status, body = get(answer_probes(answer), "/healthz")
    assert (status, json.loads(body)["status"]) == ("503 Service Unavailable", "unavailable")


# --- Workers and beats ---------------------------------------------------------------------------


def probe(data_dir: Path, *words: str) -> tuple[int, str]:
    done = subprocess.run(
        [sys.executable, "-m", "operations.probes.alive", *words],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], "DATA_DIR": str(data_dir)},
        capture_output=True,
        text=True,
    )
    return done.returncode, done.stdout + done.stderr


LONG_AGO = alive.FRESH_SECONDS + 1


def hang(sign: Sign) -> None:
    """As if it had shown itself, and then no more."""
    sign.show()
    at = time.time() - LONG_AGO
    os.utime(sign.path, (at, at))


@pytest.fixture
def sign(tmp_path: Path) -> Iterator[Sign]:
    """That of a worker of this host."""
    sign = Sign(tmp_path, "worker")
    yield sign
    sign.remove()


@pytest.fixture
def second(tmp_path: Path) -> Iterator[Sign]:
    """That of a second one."""
    sign = Sign(tmp_path, "worker")
    yield sign
    sign.remove()


def test_probe_tells_whether_a_worker_has_shown_itself(tmp_path: Path, sign: Sign) -> None:
    assert probe(tmp_path, "worker")[0] == 1
    sign.show()

    code, said = probe(tmp_path, "worker")
    assert code == 0
    assert re.fullmatch(r"Each worker of this host has shown itself within \d+ seconds\.\n", said)
    assert probe(tmp_path, "beat")[0] == 1
    assert probe(tmp_path)[0] == 2

    hang(sign)
    assert probe(tmp_path, "worker")[0] == 1


def test_sign_is_its_owner_s_alone_and_goes_when_the_process_ends(
    tmp_path: Path, sign: Sign
) -> None:
    sign.show()
    sign.show()
    (file,) = (tmp_path / "alive").iterdir()
    assert file.name.startswith(f"worker-{socket.gethostname()}-{os.getpid()}-")
    assert file.stat().st_mode & 0o777 == 0o600
    sign.remove()
    assert not file.exists()


def test_sign_that_was_deleted_is_made_anew(tmp_path: Path, sign: Sign) -> None:
    sign.show()
    sign.path.unlink()
    assert seconds_since(tmp_path, "worker") is None
    sign.show()
    assert seconds_since(tmp_path, "worker") is not None


def test_no_worker_answers_for_one_that_hangs(
    tmp_path: Path, sign: Sign, second: Sign, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither that of another container with this DATA_DIR, nor a second one of this host."""
    host = socket.gethostname()
    for other in ("elsewhere", f"{host}-2"):
        with monkeypatch.context() as patch:
            patch.setattr(socket, "gethostname", lambda other=other: other)
            second.show()
            assert seconds_since(tmp_path, "worker") is not None
        assert seconds_since(tmp_path, "worker") is None
        second.remove()

    hang(sign)
    second.show()
    assert probe(tmp_path, "worker")[0] == 1


def test_worker_that_was_killed_is_no_longer_asked_for(tmp_path: Path, sign: Sign) -> None:
    """Also while a number of its file is another's: here that of a process called as Celery is, as
    the next worker's children are."""
    words = [sys.executable, "-c", "input()", "celery"]
    with subprocess.Popen(words, stdin=subprocess.PIPE) as child:
        hang(sign)
        left = sign.path.rename(
            sign.path.with_name(re.sub(r"-\d+-", f"-{child.pid}-", sign.path.name))
        )
        assert probe(tmp_path, "worker")[0] == 1
        sign.show()
        assert left.exists()

        assert probe(tmp_path, "worker")[0] == 0
        child.communicate()


FAMILY = """
import os, pathlib, sys
from operations.probes.alive import Sign

Sign(pathlib.Path(sys.argv[1]), "worker").show()
os.fork()
os.write(1, b"shown\\n")
sys.stdin.read()
"""


def test_child_that_outlives_a_worker_does_not_keep_its_sign(tmp_path: Path) -> None:
    words = [sys.executable, "-c", FAMILY, str(tmp_path)]
    with subprocess.Popen(words, cwd=ROOT, stdin=-1, stdout=-1, text=True) as parent:
        assert parent.stdout
        assert [parent.stdout.readline() for _each in range(2)] == ["shown\n"] * 2
        assert seconds_since(tmp_path, "worker") is not None
        parent.kill()
        parent.wait()
        assert seconds_since(tmp_path, "worker") is None
        parent.communicate()  # the child ends with its input


def test_worker_whose_task_does_not_end_is_stuck(tmp_path: Path, settings: Settings) -> None:
    sign = WorkerSign(tmp_path)
    sign.task_begins("a")
    assert not sign.is_stuck()
    settings.CELERY_TASK_TIME_LIMIT = -10
    assert sign.is_stuck()
    sign.task_ends("a")
    assert not sign.is_stuck()


def test_worker_whose_main_loop_stands_still_is_stuck(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not one whose loop moves, nor while it has no loop, which waits for the broker, or a task
    runs in it."""
    at, told = [0.0], list[Callable[[], None]]()
    monkeypatch.setattr(worker, "time", SimpleNamespace(monotonic=lambda: at[0]))
    sign = WorkerSign(tmp_path)

    def let_it_be_long() -> None:
        at[0] += worker.LOOP_SECONDS + 1

    let_it_be_long()
    assert not sign.is_stuck()
    sign.loop_begins(told.append)
    assert not sign.is_stuck()
    for _each in range(3):
        sign.ask_loop()
        sign.ask_loop()
        let_it_be_long()
        assert sign.is_stuck()
        (moves,) = told
        told.clear()
        moves()
        assert not sign.is_stuck()
    let_it_be_long()
    sign.task_begins("a")
    assert not sign.is_stuck()
    sign.task_ends("a")
    assert sign.is_stuck()
    sign.loop_ends()
    assert not sign.is_stuck()


def test_connection_may_be_lost_while_the_main_loop_is_asked(tmp_path: Path) -> None:
    class Losing(WorkerSign):
        """Loses it at the last moment before the question."""

        def __setattr__(self, name: str, value: object) -> None:
            super().__setattr__(name, value)
            if (name, value) == ("_is_asked", True):
                self.loop_ends()

    told = list[Callable[[], None]]()
    sign = Losing(tmp_path)
    sign.loop_begins(told.append)
    sign.ask_loop()
    assert len(told) == 1
    sign.ask_loop()
    sign.loop_begins(told.append)
    sign.ask_loop()
    assert len(told) == 2
