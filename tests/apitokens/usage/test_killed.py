"""What is lost of uses when real processes are killed, and that nothing is when they are stopped.

Uses are stored every second here; what is lost grows with that setting, which is 10 by default.
"""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from random import Random
from typing import NamedTuple

import pytest
from django.db.models import Sum

from accounts.models import Membership
from apitokens.models import APIToken, TokenUseDay
from tests.apitokens.usage.locks import row_locked
from tests.concurrency import shared_database_url
from tests.conftest import Issue

pytestmark = [pytest.mark.both, pytest.mark.django_db(transaction=True)]

EVERY = 1
AT_MOST_LOST = timedelta(seconds=2 * EVERY)
"""The uses of the last period, and a period for a machine that is busy with other tests."""


class Busy(NamedTuple):
    """A process that uses a token all the time, and the file to which it says when."""

    process: subprocess.Popen[bytes]
    said: Path

    def end(self, how: signal.Signals) -> None:
        self.process.send_signal(how)
        self.process.wait(timeout=20)

    @property
    def uses(self) -> list[datetime]:
        """When it used the token; it may have been killed before it could say so of the last."""
        return [datetime.fromisoformat(line) for line in self.said.read_text().splitlines()]


class Busyness:
    """Starts busy processes, and leaves none behind."""

    def __init__(self, folder: Path, token: APIToken) -> None:
        self._folder, self._token = folder, token
        self._all: list[Busy] = []

    def start(self, *how: str) -> Busy:
        said = self._folder / f"{len(self._all)}.txt"
        environment = {
            **os.environ,
            "DATABASE_URL": shared_database_url(),
            "USAGE_FLUSH_SECONDS": str(EVERY),
        }
        command = [sys.executable, "-m", "tests.apitokens.usage.busy", str(self._token.pk), *how]
        with said.open("wb") as output:
            busy = Busy(subprocess.Popen(command, env=environment, stdout=output), said)
        self._all.append(busy)
        _wait_until(lambda: busy.said.stat().st_size > 0)
        return busy

    def stop_all(self) -> None:
        for busy in self._all:
            busy.process.kill()
            busy.process.wait()


def _wait_until(holds: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.fixture
def token(user: Membership, issue: Issue, now: datetime) -> APIToken:
    """A token whose first use was an hour ago."""
    token = issue(user, at=now - timedelta(days=1)).token
    APIToken.objects.filter(pk=token.pk).update(last_used_at=now - timedelta(hours=1))
    return token


@pytest.fixture
def busyness(tmp_path: Path, token: APIToken) -> Iterator[Busyness]:
    """Processes that use the token."""
    busyness = Busyness(tmp_path, token)
    yield busyness
    busyness.stop_all()


def last_used_at(token: APIToken) -> datetime:
    token.refresh_from_db()
    assert token.last_used_at is not None
    return token.last_used_at


def counted(token: APIToken) -> int:
    return TokenUseDay.objects.filter(token=token).aggregate(sum=Sum("count"))["sum"] or 0


def test_process_killed_with_sigkill_loses_its_last_period_at_the_most(
    busyness: Busyness, token: APIToken
) -> None:
    random, before = Random(6), last_used_at(token)
    for _round in range(3):
        busy = busyness.start()
        time.sleep(1.5 + random.random() * EVERY)
        busy.end(signal.SIGKILL)
        after = last_used_at(token)
        assert before < after <= busy.uses[-1] + timedelta(seconds=1)
        assert busy.uses[-1] - after < AT_MOST_LOST
        before = after


def test_process_that_is_stopped_loses_nothing(busyness: Busyness, token: APIToken) -> None:
    busy = busyness.start()
    time.sleep(1.3)
    busy.end(signal.SIGTERM)
    assert 0 <= counted(token) - len(busy.uses) <= 1  # the last one may have had no time to say so
    assert last_used_at(token) >= busy.uses[-1]


def test_process_whose_server_goes_on_is_stopped_too(busyness: Busyness, token: APIToken) -> None:
    busy = busyness.start("deaf")
    busy.end(signal.SIGTERM)
    assert busy.process.returncode == 0
    assert counted(token) > 0


def test_processes_that_end_together_while_the_row_is_locked_lose_nothing(
    busyness: Busyness, token: APIToken
) -> None:
    busy = [busyness.start() for _each in range(4)]
    with row_locked(token, seconds=1):
        for each in busy:
            each.process.send_signal(signal.SIGTERM)
        for each in busy:
            each.process.wait(timeout=20)
    said = sum(len(each.uses) for each in busy)
    assert 0 <= counted(token) - said <= len(busy)  # each last one may have had no time to say so
    assert last_used_at(token) >= max(each.uses[-1] for each in busy)


def test_last_use_never_goes_back_while_processes_come_and_go(
    busyness: Busyness, token: APIToken
) -> None:
    first = [busyness.start() for _each in range(3)]
    seen = [last_used_at(token)]
    for step in range(60):
        time.sleep(0.05)
        seen.append(last_used_at(token))
        if step in (20, 35, 50):
            first.pop().end(signal.SIGKILL)
    assert seen == sorted(seen)
    assert len(set(seen)) > 2


def test_killed_processes_lose_a_moment_and_no_use_is_counted_twice(
    busyness: Busyness, token: APIToken
) -> None:
    """All of them add to the same token, day and address at once, and some die while they do."""
    random, ended = Random(6), []
    busy = [busyness.start() for _each in range(3)]
    for _round in range(4):
        time.sleep(0.7 + random.random())
        ended.append(busy.pop(0))
        ended[-1].end(signal.SIGKILL)
        busy.append(busyness.start())
    for each in busy:
        each.end(signal.SIGTERM)
    said = sum(len(each.uses) for each in ended + busy)
    lost_at_most = sum(_within(each, AT_MOST_LOST) for each in ended)
    assert said - lost_at_most <= counted(token) <= said + len(ended + busy)
    assert last_used_at(token) >= max(each.uses[-1] for each in busy)


def _within(busy: Busy, span: timedelta) -> int:
    """How many uses were in the last moments of a process."""
    uses = busy.uses
    return sum(at > uses[-1] - span for at in uses)
