"""Several real processes hold one limit, through Redis, through files, or each alone."""

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import pytest

from tests import services

LIMIT = 10
Start = Callable[[str], "Counting"]


class Counting:
    """A process that counts the refusals of one address."""

    def __init__(self, data_dir: Path, redis_url: str) -> None:
        settings = {
            "DJANGO_SETTINGS_MODULE": "config.settings",
            "DATA_DIR": str(data_dir),
            "REDIS_URL": redis_url,
            "REFUSAL_RATE": str(LIMIT),
            "LOG_LEVEL": "ERROR",
        }
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.apitokens.verification.throttle_worker"],
            env={**os.environ, **settings},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def refuse(self, times: int, *, second: float) -> int:
        """So many refusals in this second of the minute. Returns how many were told to wait."""
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.write(f"{second} {times}\n")
        self.process.stdin.flush()
        return int(self.process.stdout.readline())

    def stop(self) -> None:
        self.process.communicate(timeout=20)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """`start(redis_url)`: a process; all of them have the same data folder."""
    with ExitStack() as stack:

        def act(redis_url: str) -> Counting:
            counting = Counting(tmp_path, redis_url)
            stack.callback(counting.stop)
            return counting

        yield act


@pytest.fixture(params=["redis", "files"])
def shared(request: pytest.FixtureRequest) -> str:
    """What the processes have in common: a Redis, or the files in their data folder."""
    return str(request.getfixturevalue("redis_url")) if request.param == "redis" else ""


def test_processes_let_the_limit_through_once_between_them(start: Start, shared: str) -> None:
    processes = [start(shared) for _number in range(3)]
    for each in processes:
        assert each.refuse(3, second=0) == 0

    waiting = [each.refuse(5, second=1 + number) for number, each in enumerate(processes)]

    # The first tells its 4 and hears of nobody. The second tells its 4, hears of those 4, and may
    # go on from 8 to 10. The third hears of 12.
    assert waiting == [0, 2, 5]


def test_process_lets_no_more_than_the_limit_through_before_it_hears_of_others(
    start: Start, shared: str
) -> None:
    one, other = start(shared), start(shared)

    assert [each.refuse(15, second=0) for each in (one, other)] == [5, 5]


def test_redis_that_never_answers_is_waited_for_once(start: Start) -> None:
    with closing(socket.create_server(("127.0.0.1", 0))) as silent:
        process = start(f"redis://127.0.0.1:{silent.getsockname()[1]}/0")
        process.refuse(1, second=0)
        began = time.monotonic()

        for second in range(1, 8):
            process.refuse(1, second=second)

        assert time.monotonic() - began < 5


def test_processes_limit_alone_without_their_redis(start: Start) -> None:
    nobody = f"redis://127.0.0.1:{services.free_port()}/0"
    one, other = start(nobody), start(nobody)

    for each in (one, other):
        assert each.refuse(6, second=0) == 0
        assert each.refuse(6, second=2) == 2
