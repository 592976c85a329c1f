"""`manage.py doctor` says in sentences what is missing or risky."""

import io
import os
import subprocess
import sys
import time
from datetime import timedelta
from pathlib import Path

import pytest
from django.core.management import call_command
from django.db import OperationalError
from pytest_django import Settings
from redis import Redis

from notifications.email.transport import SMTP
from notifications.jobs import database_now
from operations import time_limit
from operations.checks import database, encryption, servers
from operations.doctor import examination
from operations.redis_answers import redis_answers
from tests import services
from tests.conftest import is_on_postgresql
from tests.listener import listening, saying
from tests.portal import ROOT

pytestmark = [pytest.mark.django_db, pytest.mark.both]


def said() -> tuple[str, int]:
    out, code = io.StringIO(), 0
    try:
        call_command("doctor", stdout=out)
    except SystemExit as ended:
        code = int(str(ended.code))
    return out.getvalue(), code


def test_every_topic_is_told_and_nothing_is_broken() -> None:
    told, code = said()

    for topic in examination.topics():
        assert f" {topic.name}: " in told
    assert "well      Database: " in told
    assert "risky     Email: No email leaves this portal" in told
    assert code == 0
    assert " 0 broken, " in told.replace("\n", " ")


def test_what_is_meant_to_be_so_is_no_risk(settings: Settings) -> None:
    """Of Django's own checks: what SQLite leaves out of an index, and settings that nobody sets
    here, because they follow from BASE_URL."""
    assert settings.BASE_URL.startswith("http:")

    told = said()[0]

    assert "risky     Settings: " not in told, told


def test_portal_that_is_not_there_is_not_made(tmp_path: Path) -> None:
    """DATA_DIR was set for the portal, and is not for the doctor."""
    nowhere = tmp_path / "var"

    done = doctor(DATA_DIR=str(nowhere))

    assert (done.returncode, done.stdout) == (1, "")
    assert f"There is no {nowhere}/permatoken.sqlite3: nothing was examined" in done.stderr
    assert not nowhere.exists()

    elsewhere = tmp_path / "elsewhere.sqlite3"
    done = doctor(DATA_DIR=str(nowhere), DATABASE_URL=f"sqlite:///{elsewhere}")

    assert done.returncode == 1
    assert f"broken    Database: It isn't responding (there is no {elsewhere})." in done.stdout
    assert not elsewhere.exists()


def doctor(**environment: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "manage.py", "doctor"],
        cwd=ROOT,
        env={"PATH": os.environ["PATH"], **environment},
        capture_output=True,
        text=True,
    )


def test_database_that_is_away_is_a_finding_like_others(
    monkeypatch: pytest.MonkeyPatch, settings: Settings
) -> None:
    settings.REDIS_URL = "redis://127.0.0.1:1/0"
    settings.EMAIL_BACKEND, settings.EMAIL_HOST, settings.EMAIL_PORT = SMTP, "127.0.0.1", 1

    def away() -> None:
        raise OperationalError("connection refused\nIs the server running?")

    monkeypatch.setattr(examination, "_ask", away)

    told, code = said()

    assert "broken    Database: It isn't responding (connection refused)." in told
    assert "Migrations" not in told
    assert "Static files" in told
    assert "risky     Redis: Redis isn't responding" in told
    assert "risky     Email: The mail server 127.0.0.1:1 can't be used" in told
    assert code == 1


def test_database_that_hangs_holds_nobody_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(examination, "SECONDS", 0.05)
    monkeypatch.setattr(examination, "_ask", lambda: time.sleep(5))

    assert "no answer within 0.05 seconds" in said()[0]


def test_call_within_its_time_gives_what_it_returns_or_raises() -> None:
    assert time_limit.within(5, lambda: 3) == 3
    with pytest.raises(ZeroDivisionError):
        time_limit.within(5, lambda: 1 // 0)


def test_migration_that_is_not_applied_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    assert database.migrations_are_applied(["default"]) == []
    monkeypatch.setattr(database, "unapplied_migrations", lambda: ["accounts.0099_later"])

    (message,) = database.migrations_are_applied(["default"])

    assert "accounts.0099_later" in message.msg
    assert message.is_serious()


def test_clocks_that_differ_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    assert database.clocks_agree(["default"]) == []
    ahead = database_now() + timedelta(minutes=2)
    monkeypatch.setattr(database, "database_now", lambda: ahead)

    (message,) = database.clocks_agree(["default"])

    assert "120 seconds apart" in message.msg


def test_more_threads_than_connections_are_told(settings: Settings) -> None:
    if not is_on_postgresql():
        pytest.skip("SQLite has no limit")
    settings.WEB_WORKERS, settings.WEB_THREADS = 2, 8
    assert database.connections_suffice(["default"]) == []
    settings.WEB_WORKERS = 256

    (message,) = database.connections_suffice(["default"])

    assert "keeps up to 2309" in message.msg


def test_what_travels_in_clear_is_told(settings: Settings) -> None:
    settings.BASE_URL = "http://localhost:8000"
    assert encryption.people_come_by_https() == []
    settings.BASE_URL = "http://tokens.example.com"
    assert "operations.W003" in [each.id for each in encryption.people_come_by_https()]


@pytest.mark.parametrize(
    ("host", "options", "is_told"),
    [
        ("db.internal", {}, True),
        ("db.internal", {"sslmode": "prefer"}, True),
        ("db.internal", {"sslmode": "verify-full"}, False),
        ("127.0.0.1,db.internal", {}, True),
        ("127.0.0.1", {}, False),
        ("/run/postgresql", {}, False),
        ("", {"host": "/run/postgresql"}, False),
    ],
)
def test_database_on_another_machine_without_tls_is_told(
    host: str,
    options: dict[str, str],
    is_told: bool,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    settings.REDIS_URL = ""
    monkeypatch.setitem(settings.DATABASES, "default", {"HOST": host, "OPTIONS": options})
    told = encryption.servers_are_reached_by_tls()
    assert [each.msg.split()[0] for each in told] == ["DATABASE_URL"] * is_told


def test_redis_and_mail_on_another_machine_without_tls_are_told(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(settings.DATABASES, "default", {"HOST": "", "OPTIONS": {}})
    settings.REDIS_URL, settings.EMAIL_HOST = "redis://redis.internal/0", "mail.internal"
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_USE_TLS = settings.EMAIL_USE_SSL = False
    told = encryption.servers_are_reached_by_tls()
    assert [each.msg.split()[0] for each in told] == ["REDIS_URL", "EMAIL_URL"]

    settings.REDIS_URL, settings.EMAIL_USE_TLS = "rediss://redis.internal/0", True
    assert encryption.servers_are_reached_by_tls() == []


def test_servers_that_do_not_answer_are_told(settings: Settings, redis_url: str) -> None:
    settings.REDIS_URL = redis_url
    assert servers.redis_answers(["default"]) == []
    port = services.free_port()
    settings.REDIS_URL = f"redis://:swordfish@127.0.0.1:{port}/0"
    settings.EMAIL_BACKEND = SMTP
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", port

    (redis,), (mail,) = servers.redis_answers(["default"]), servers.mail_server_answers(["default"])

    assert "Redis isn't responding" in redis.msg
    assert f"The mail server 127.0.0.1:{port} can't be used" in mail.msg
    assert "swordfish" not in redis.msg
    assert servers.redis_answers() == servers.mail_server_answers() == []


@pytest.mark.parametrize("said", [b":1", b"*0", b"$abc", b"$5\r\nhello", b"-LOADING"])
def test_server_that_is_no_redis_is_told_and_probes_go_on(settings: Settings, said: bytes) -> None:
    with listening(saying(said + b"\r\n")) as listener:
        settings.REDIS_URL = f"redis://127.0.0.1:{listener.port}/0"
        assert redis_answers() is False
        (warning,) = servers.redis_answers(["default"])
    assert "Redis isn't responding" in warning.msg
    assert "object" not in warning.msg


@pytest.mark.parametrize("allowed", ["+@all -config", "+@all -config -info"])
def test_redis_that_refuses_to_be_configured_answers(
    allowed: str, settings: Settings, redis_url: str
) -> None:
    """As clouds have it, and users with few rights."""
    with Redis.from_url(redis_url) as operator:
        operator.execute_command(
            "ACL", "SETUSER", "portal", "on", ">swordfish", "~*", *allowed.split()
        )
    settings.REDIS_URL = redis_url.replace("redis://", "redis://portal:swordfish@")

    assert servers.redis_answers(["default"]) == []


def test_redis_that_drops_what_it_keeps_is_told(settings: Settings, redis_url: str) -> None:
    settings.REDIS_URL = redis_url
    with Redis.from_url(redis_url) as operator:
        operator.config_set("maxmemory", "100mb")
        operator.config_set("maxmemory-policy", "allkeys-lru")
        try:
            (message,) = servers.redis_answers(["default"])
        finally:
            operator.config_set("maxmemory-policy", "noeviction")
            operator.config_set("maxmemory", "0")

    assert "Redis drops any key when it is full" in message.msg
