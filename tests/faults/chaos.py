"""Real workers and beats, killed at random instants, while mail server and Redis fail in turn."""

import contextlib
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from redis import Redis, RedisError

from tests.mailserver import DROP, HANG, TAKE_AND_DROP, TAKE_AND_HANG, Mood, order

ROOT = Path(__file__).resolve().parent.parent.parent
THINKS = 0.01
WELL = Mood(thinks=THINKS)
OUTAGES = [
    (Mood(greeting=HANG), False),
    (Mood(greeting="421 Not now"), False),
    (Mood(mail="451 Later"), False),
    (Mood(rcpt="450 Later"), False),
    (Mood(data="451 Later"), False),
    (Mood(body="452 Full"), False),
    (Mood(mail=DROP), False),
    (Mood(rcpt=HANG), False),
    (Mood(data=DROP), False),
    (Mood(body=DROP), False),
    (Mood(body=TAKE_AND_DROP), False),
    (Mood(body=HANG), False),
    (Mood(body=TAKE_AND_HANG), False),
    (Mood(), True),
]
"""What the mail server does wrong; the last one refuses connections."""
REJECTED = "person0-1@example.com"
"""A recipient that it always rejects."""


@dataclass
class MailServerProcess:
    """The server whose records decide."""

    process: subprocess.Popen[str]
    record: Path | None

    @property
    def port(self) -> int:
        assert self.process.stdout is not None
        return int(self.process.stdout.readline())

    def set(self, mood: Mood, *, refuses: bool = False) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(order(mood, refuses=refuses, rejects=[REJECTED]))
        self.process.stdin.flush()


@contextlib.contextmanager
def mail_server(record: Path | None) -> Iterator[MailServerProcess]:
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.mailserver", str(record or "")],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield MailServerProcess(process, record)
    finally:
        process.kill()
        process.wait()


@dataclass
class Program:
    """A worker or a beat, started anew whenever it was killed."""

    command: list[str]
    log: IO[bytes]
    process: subprocess.Popen[bytes] | None = None
    orphans: list[int] = field(default_factory=list)

    def start(self) -> None:
        self.process = subprocess.Popen(
            self.command, cwd=ROOT, stdout=self.log, stderr=self.log, process_group=0
        )

    def kill(self) -> None:
        """The program, with its processes or leaving them behind."""
        assert self.process is not None
        self.orphans += _children(self.process.pid)
        (os.killpg if random.random() < 0.5 else os.kill)(self.process.pid, signal.SIGKILL)
        self.process.wait()
        self.start()

    def kill_part(self) -> None:
        """One of the processes that run tasks, and the program starts another; all of it if it has
        no such processes."""
        assert self.process is not None
        children = _children(self.process.pid)
        if not children:
            self.kill()
            return
        with contextlib.suppress(ProcessLookupError):
            os.kill(random.choice(children), signal.SIGKILL)

    def end(self) -> None:
        assert self.process is not None
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        for pid in filter(_is_ours, self.orphans):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


@dataclass
class Chaos:
    """The processes that fail, and how often they have failed."""

    workers: list[Program]
    beats: list[Program]
    server: MailServerProcess
    redis_url: str | None
    kills: int = 0
    flushes: int = 0
    outages: int = 0
    moods: list[tuple[Mood, bool]] = field(default_factory=list)

    def go_on(self, *, kills: int, every: float) -> None:
        """Kill so often; between the kills, let the mail server and Redis fail."""
        outage_ends = time.monotonic() + 1
        is_out = False
        while self.kills < kills:
            time.sleep(random.uniform(0.2, 1.8) * every)
            self._kill_one()
            if time.monotonic() > outage_ends:
                is_out = not is_out
                outage_ends = time.monotonic() + (random.uniform(0.3, 2) if is_out else 2)
                self._let_the_server_fail(is_out)
            if self.redis_url and random.random() < 0.05:
                self._flush()
        self.server.set(WELL)

    def _kill_one(self) -> None:
        chance = random.random()
        if chance < 0.9:
            random.choice(self.workers).kill_part()
        elif chance < 0.97:
            random.choice(self.workers).kill()
        else:
            random.choice(self.beats).kill()
        self.kills += 1

    def _let_the_server_fail(self, is_out: bool) -> None:
        if not is_out:
            self.server.set(WELL)
            return
        if not self.moods:
            self.moods = random.sample(OUTAGES, len(OUTAGES))
        mood, refuses = self.moods.pop()
        self.server.set(mood, refuses=refuses)
        self.outages += 1

    def _flush(self) -> None:
        assert self.redis_url is not None
        with contextlib.suppress(RedisError), Redis.from_url(self.redis_url) as client:
            client.flushall()
            self.flushes += 1


@contextlib.contextmanager
def programs(folder: Path) -> Iterator[tuple[list[Program], list[Program]]]:
    """Two workers and two beats."""
    with (folder / "programs.log").open("ab") as log:
        celery = [sys.executable, "-m", "celery", "--quiet", "-A", "tests.faults.app"]
        quiet = ["--loglevel", "WARNING"]
        workers = [
            Program(
                [
                    *(*celery, "worker", "-n", f"{name}@%h", "--concurrency", "2", *quiet),
                    *("--without-gossip", "--without-mingle", "--without-heartbeat"),
                ],
                log,
            )
            for name in ("one", "two")
        ]
        beats = [
            Program([*celery, "beat", "-s", str(folder / f"{name}.schedule"), *quiet], log)
            for name in ("one", "two")
        ]
        for each in (*workers, *beats):
            each.start()
        try:
            yield workers, beats
        finally:
            for each in (*beats, *workers):
                each.end()


def wait_until(holds: Callable[[], bool], *, within: float) -> bool:
    deadline = time.monotonic() + within
    while not holds():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.5)
    return True


def _is_ours(pid: int) -> bool:
    """True unless the process has ended and its number belongs to another by now."""
    ours = f"DATA_DIR={os.environ['DATA_DIR']}".encode()
    with contextlib.suppress(OSError):
        return ours in Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    return False


def _children(pid: int) -> list[int]:
    """Whichever of its threads has forked them."""
    children: list[int] = []
    for thread in Path(f"/proc/{pid}/task").glob("*/children"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            children += map(int, thread.read_text().split())
    return children
