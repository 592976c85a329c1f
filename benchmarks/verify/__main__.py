"""`make bench`: what it costs to ask whether a token is good, beside what others charge for it.

Everything is measured in one run: the portal, its peers, and the floor, which is a bare Django view
in the same server. They take turns, so that a busy minute of the machine strikes all of them.
"""

import argparse
import json
import os
import secrets
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

import psycopg

from benchmarks.verify import contestants, load, report
from benchmarks.verify.contestants import Contestant
from benchmarks.verify.load import Load
from tests import environment, services

ROOT = Path(__file__).resolve().parent.parent.parent
PYTHON = ROOT / "var" / "benchmarks" / "venv" / "bin" / "python"
MODULES = {
    "peers": "benchmarks.verify.peers.wsgi",
    "portal": "config.wsgi",
    "unleased": "config.wsgi",
}
SETTINGS = {
    "peers": "benchmarks.verify.peers.settings",
    "portal": "config.settings",
    "unleased": "config.settings",
}
COLD_EACH = 500
COLD_OVER_HTTP = 20_000


class Stall:
    """A process that measures its application through the WSGI handler, when it is told to."""

    def __init__(self, module: str, settings: dict[str, str]) -> None:
        self.process = subprocess.Popen(
            [PYTHON, "-m", "benchmarks.verify.stall", module],
            cwd=ROOT,
            env=settings,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def measure(self, contestant: Contestant, seconds: float, unseen: Iterator[Any]) -> float:
        """Microseconds of CPU for a request."""
        requests = list(islice(unseen, COLD_EACH)) if contestant.unseen else contestant.requests
        order = {"requests": requests, "seconds": seconds, "is_once": contestant.unseen}
        assert self.process.stdin
        assert self.process.stdout
        self.process.stdin.write(f"{json.dumps(order)}\n")
        self.process.stdin.flush()
        told = json.loads(self.process.stdout.readline())
        assert set(told["statuses"]) == {contestant.status}, (contestant.name, told)
        return float(told["cpu_us"])

    def close(self) -> None:
        assert self.process.stdin
        self.process.stdin.close()
        self.process.wait()


class Settings:
    """The environment of each stall: one PostgreSQL with a database for the portal and one for the
    peers, and a Redis, as in the scaled shape."""

    def __init__(self, folder: Path, database: str, redis: str) -> None:
        self._folder, self._redis = folder, redis
        self._urls = {name: _make_database(database, name) for name in ("portal", "peers")}
        self._secrets = {
            "SECRET_KEY": secrets.token_urlsafe(48),
            "TOKEN_PEPPERS": f"1:{secrets.token_hex(32)}",
        }

    def of(self, stall: str) -> dict[str, str]:
        (self._folder / "static").mkdir(exist_ok=True)
        return {
            **os.environ,
            **self._secrets,
            "DJANGO_SETTINGS_MODULE": SETTINGS[stall],
            "DATA_DIR": str(self._folder),
            "DATABASE_URL": self._urls["peers" if stall == "peers" else "portal"],
            "REDIS_URL": self._redis,
            "LOG_LEVEL": "ERROR",
            # One address sends all that is wrong here, and the limit would be what is measured.
            "REFUSAL_RATE": "0",
            "VERIFY_CACHE_SECONDS": "0" if stall == "unleased" else "1",
        }


def main() -> None:
    options = _options()
    environment.forget_own_portal()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="permatoken-bench-")))
        database = stack.enter_context(services.postgresql())
        settings = Settings(folder, database, stack.enter_context(services.redis()))
        _say(f"Planting {options.tokens:,} tokens of each kind…")
        all_of_them = _plant(settings, options)
        unseen = _unseen(all_of_them)
        stalls = {
            name: Stall(module, settings.of(name))
            for name, module in MODULES.items()
            if any(each.stall == name for each in all_of_them)
        }
        cpu = _cpu(all_of_them, stalls, unseen, options)
        loads = _loads(all_of_them, settings, unseen, options)
        _say(f"Adding tokens up to {options.many:,}…")
        _step(settings, "portal", "portal", "more", str(options.many))
        few = [each for each in all_of_them if each.name in contestants.AGAIN]
        again = _cpu(few, stalls, unseen, options)
        for stall in stalls.values():
            stall.close()
        text = report.write(
            cpu, loads, again, options=options, versions=_versions(database, settings)
        )
    _say(text)
    if options.write:
        (ROOT / "benchmarks" / "RESULTS.md").write_text(text)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benchmarks.verify", description=__doc__)
    parser.add_argument("--tokens", type=int, default=100_000)
    parser.add_argument("--many", type=int, default=1_000_000, help="tokens, the second time")
    parser.add_argument("--rounds", type=int, default=7, help="turns of everybody")
    parser.add_argument("--cpu-seconds", type=float, default=0.3, help="of each turn in process")
    parser.add_argument("--http-rounds", type=int, default=3, help="turns over loopback")
    parser.add_argument("--http-seconds", type=int, default=4, help="of each turn over loopback")
    parser.add_argument("--workers", type=int, default=2, help="of granian")
    parser.add_argument("--threads", type=int, default=4, help="of each worker")
    parser.add_argument("--only", default="", help="measure those whose name has this, and floor")
    parser.add_argument("--no-write", dest="write", action="store_false", help="only print")
    return parser.parse_args()


def _plant(settings: Settings, options: argparse.Namespace) -> list[Contestant]:
    tokens = str(options.tokens)
    authorizations = _step(settings, "peers", "peers.plant", tokens)
    planted = _step(settings, "portal", "portal", "plant", tokens)
    everybody = [*contestants.peers(authorizations), *contestants.portal(planted)]
    return [
        each for each in everybody if options.only in each.name or each.name == contestants.FLOOR
    ]


def _unseen(all_of_them: list[Contestant]) -> Iterator[Any]:
    """Requests with tokens that nobody has sent yet."""
    return iter([request for each in all_of_them if each.unseen for request in each.requests])


def _cpu(
    all_of_them: list[Contestant],
    stalls: dict[str, Stall],
    unseen: Iterator[Any],
    options: argparse.Namespace,
) -> dict[str, list[float]]:
    """Microseconds for each contestant, one figure a round. A first round warms up."""
    found = defaultdict(list)
    for turn in range(options.rounds + 1):
        _say(f"In process, round {turn} of {options.rounds}…")
        for each in all_of_them:
            figure = stalls[each.stall].measure(each, options.cpu_seconds if turn else 0.1, unseen)
            if turn:
                found[each.name].append(figure)
    return dict(found)


def _loads(
    all_of_them: list[Contestant],
    settings: Settings,
    unseen: Iterator[Any],
    options: argparse.Namespace,
) -> dict[str, list[Load]]:
    """The load that granian carries for each contestant, one figure a round."""
    found = defaultdict(list)
    for turn in range(1, options.http_rounds + 1):
        for each in all_of_them:
            share = min(COLD_OVER_HTTP, options.tokens // options.http_rounds // 2)
            requests = list(islice(unseen, share)) if each.unseen else each.requests
            with _served(each, settings, options) as port:
                load.measure(port=port, requests=each.requests[:1], seconds=1)
                carried = load.measure(port=port, requests=requests, seconds=options.http_seconds)
            _say(f"Over loopback, {turn} of {options.http_rounds}: {each.name} {carried.rate:,.0f}")
            found[each.name].append(carried)
    return dict(found)


@contextmanager
def _served(
    contestant: Contestant, settings: Settings, options: argparse.Namespace
) -> Iterator[int]:
    """The contestant's application in granian, alone on the machine; yields the port."""
    port = services.free_port()
    server = subprocess.Popen(
        [
            *(PYTHON, "-m", "granian", "--interface", "wsgi", "--no-ws", "--log-level", "error"),
            *("--host", "127.0.0.1", "--port", str(port), "--workers", str(options.workers)),
            *("--blocking-threads", str(options.threads)),
            f"{MODULES[contestant.stall]}:application",
        ],
        cwd=ROOT,
        env=settings.of(contestant.stall),
    )
    try:
        _wait_for(port, contestant)
        yield port
    finally:
        server.terminate()
        server.wait()


def _wait_for(port: int, contestant: Contestant) -> None:
    """Until it answers what it should: a contestant that refuses would look fast."""
    request = contestant.requests[0]
    deadline = time.monotonic() + 60
    while (status := load.status(port, request)) != contestant.status:
        assert status is None, (contestant.name, status)
        assert time.monotonic() < deadline, contestant.name
        time.sleep(0.1)


def _step(settings: Settings, stall: str, *command: str) -> dict[str, Any]:
    """Run a module of this package in the contestants' environment; returns what it prints."""
    module, *arguments = command
    done = subprocess.run(
        [PYTHON, "-m", f"benchmarks.verify.{module}", *arguments],
        cwd=ROOT,
        env=settings.of(stall),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    figures: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return figures


def _make_database(url: str, name: str) -> str:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f'CREATE DATABASE "{name}"')
    return url.replace("/postgres?", f"/{name}?")


def _versions(database: str, settings: Settings) -> list[str]:
    with psycopg.connect(database) as connection:
        row = connection.execute("SHOW server_version").fetchone()
        assert row is not None
    packages = _step(settings, "peers", "report")
    return [f"PostgreSQL {row[0]}", *packages["versions"], load.client_name()]


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
