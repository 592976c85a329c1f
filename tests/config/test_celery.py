"""Publishing tasks and recording jobs: what a broker or a clock that fails may cost."""

import socket
import ssl
import time
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import time_machine
from celery.exceptions import SoftTimeLimitExceeded
from django.db import connection
from kombu.exceptions import OperationalError

from apitokens.tasks import forget_uses
from apitokens.usage import store
from config.beat_schedule import BY_SCHEDULE
from config.celery import Portal, app
from notifications import jobs, tasks
from notifications.models import Heartbeat
from tests.config.env.test_settings import load
from tests.conftest import is_on_postgresql
from tests.idp.keys import SigningKey, make_key
from tests.listener import listening

__all__ = ["load"]

SCHEDULED: dict[str, Any] = {BY_SCHEDULE: True}


def portal_of(found: dict[str, Any]) -> Portal:
    """The application as these settings make it."""
    portal = Portal("test")
    portal.conf.update({
        name.removeprefix("CELERY_").lower(): value
        for name, value in found.items()
        if name.startswith("CELERY_")
    })  # fmt: skip
    return portal


def test_hung_broker_is_asked_once_and_not_waited_for(load: Any) -> None:
    """Without a timeout this test would not end; with a second try, it would meet the broker
    more often. A second each is what it should take."""
    with listening() as hung:
        portal = portal_of(load(REDIS_URL=f"redis://127.0.0.1:{hung.port}/0"))
        began = time.monotonic()
        for tries in (1, 2, 3):
            with pytest.raises(OperationalError):
                portal.send_task("notifications.tasks.deliver_mails")
            assert hung.met == tries
        assert time.monotonic() - began < 3 * 4


@pytest.mark.parametrize("query", ["", "?ssl_cert_reqs=required", "?ssl_cert_reqs=none"])
def test_broker_shows_a_certificate_that_is_checked(load: Any, tmp_path: Path, query: str) -> None:
    """None that anybody vouches for; taken only if the operator wants no check."""
    key = make_key("redis")
    told: list[str] = []
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*_files(key, tmp_path))

    def shake_hands(peer: socket.socket) -> None:
        try:
            context.wrap_socket(peer, server_side=True).close()
        except (ssl.SSLError, OSError) as error:
            told.append(str(error))
        else:
            told.append("taken")

    with listening(shake_hands) as server:
        portal = portal_of(load(REDIS_URL=f"rediss://127.0.0.1:{server.port}/0{query}"))
        with pytest.raises(OperationalError) as failed:
            portal.connection_for_read().ensure_connection(max_retries=1, interval_start=0)
    is_refused = "certificate verify failed" in str(failed.value)
    assert is_refused is (query != "?ssl_cert_reqs=none")


def test_broker_that_fails_is_left_alone_for_a_while(monkeypatch: pytest.MonkeyPatch) -> None:
    tried: list[int] = []

    def fail() -> None:
        tried.append(1)
        raise OperationalError("away")

    monkeypatch.setattr(tasks.deliver_mails, "apply_async", fail)
    tasks.trigger_delivery()
    tasks.trigger_delivery()
    assert len(tried) == 1
    tasks.trigger_delivery.quiet_until = 0.0
    tasks.trigger_delivery()
    assert len(tried) == 2


def test_worker_does_not_give_up_a_broker_that_is_away_for_long() -> None:
    assert app.conf.broker_connection_max_retries is None
    assert app.conf.broker_connection_retry


# --- When jobs were done -------------------------------------------------------------------------


@pytest.fixture
def done(monkeypatch: pytest.MonkeyPatch) -> list[datetime]:
    """When uses were forgotten."""
    times: list[datetime] = []

    def forget(*, at: datetime) -> int:
        times.append(at)
        return 0

    monkeypatch.setattr(store, "forget", forget)
    return times


@pytest.mark.django_db
def test_job_records_when_it_has_finished(done: list[datetime], now: datetime) -> None:
    with time_machine.travel(now, tick=False):
        forget_uses.apply(throw=True)
    assert Heartbeat.objects.get(name="forget-uses").at == now


@pytest.mark.django_db
def test_job_that_fails_has_not_finished(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*, at: datetime) -> int:
        raise ValueError(at)

    monkeypatch.setattr(store, "forget", fail)
    with pytest.raises(ValueError, match="20"):
        forget_uses.apply(throw=True)
    assert not Heartbeat.objects.exists()


@pytest.mark.django_db
def test_messages_that_piled_up_are_done_once(done: list[datetime], now: datetime) -> None:
    for minutes in (0, 0, 29, 31):
        with time_machine.travel(now + timedelta(minutes=minutes), tick=False):
            forget_uses.apply(headers=SCHEDULED, throw=True)
    assert done == [now, now + timedelta(minutes=31)]
    forget_uses.apply(throw=True)  # somebody wants it now
    assert len(done) == 3


@pytest.mark.django_db
@pytest.mark.usefixtures("own_clock")
@pytest.mark.parametrize("ahead", [timedelta(minutes=-40), timedelta(minutes=40)])
def test_job_is_done_and_recorded_by_the_clock_of_the_database(
    done: list[datetime], now: datetime, ahead: timedelta
) -> None:
    """Whatever a worker's own clock says."""
    if not is_on_postgresql():
        pytest.skip("SQLite has no clock but the machine's")
    forget_uses.apply(headers=SCHEDULED, throw=True)
    with time_machine.travel(now + ahead):
        forget_uses.apply(headers=SCHEDULED, throw=True)
        forget_uses.apply(throw=True)
    assert len(done) == 2
    beat_at = Heartbeat.objects.get(name="forget-uses").at
    for at in (*done, beat_at):
        assert abs(at - now) < abs(ahead) / 2


def test_items_of_a_job_are_done_each_on_its_own(caplog: pytest.LogCaptureFixture) -> None:
    done: list[int] = []

    def act(item: int) -> int:
        if item == 2:
            raise ValueError("two")
        done.append(item)
        return 1

    with pytest.raises(jobs.SomeFailed, match=r"^1 failed"):
        jobs.for_each([1, 2, 3], act)
    assert done == [1, 3]
    assert "2 failed." in caplog.text
    assert jobs.for_each([1, 3], act) == 2


def test_part_that_fails_is_done_again_one_by_one() -> None:
    done: list[list[int]] = []

    def act(items: list[int]) -> int:
        if 2 in items:
            raise ValueError("two")
        done.append(items)
        return len(items)

    with pytest.raises(jobs.SomeFailed, match=r"^1 failed"):
        jobs.for_each_part([[1, 2, 3], [4, 5]], act)
    assert done == [[1], [3], [4, 5]]


@pytest.mark.parametrize("is_gone", [True, False])
def test_time_that_is_up_and_a_database_that_is_gone_end_a_job(
    monkeypatch: pytest.MonkeyPatch, is_gone: bool
) -> None:
    tried: list[int] = []

    def act(item: int) -> int:
        tried.append(item)
        raise ConnectionError if is_gone else SoftTimeLimitExceeded

    monkeypatch.setattr(connection, "is_usable", lambda: not is_gone)
    with pytest.raises((ConnectionError, SoftTimeLimitExceeded)):
        jobs.for_each([1, 2], act)
    assert tried == [1]


def _files(key: SigningKey, folder: Path) -> tuple[Path, Path]:
    """The certificate and the key, as a server wants them."""
    certificate, secret = folder / "certificate.pem", folder / "key.pem"
    certificate.write_text(key.certificate)
    secret.write_text(key.key)
    return certificate, secret
