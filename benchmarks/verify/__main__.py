"""`make bench`: what it costs to ask whether a token is good, beside what others charge for it.

Everything is measured in one run: the portal, its peers, the floor, which is a bare Django view in
the same server, and the ceiling, which is that server alone. They take turns, so that a busy minute
of the machine strikes all of them. Then the portal alone, as work grows.
"""

import argparse
import os
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from contextlib import ExitStack
from itertools import islice
from pathlib import Path
from typing import Any

import psycopg

from benchmarks.verify import contestants, load, report
from benchmarks.verify.aims import Figures
from benchmarks.verify.contestants import Contestant
from benchmarks.verify.load import CONNECTIONS
from benchmarks.verify.report import Crowd
from benchmarks.verify.running import MODULES, ROOT, Settings, Stall, served, step
from benchmarks.verify.wrk import Load
from tests import environment, services

COLD_OVER_HTTP = 20_000
FEW = 1_000
"""Tokens of the smallest table."""
CROWDS = (
    Crowd(1, 1, workers=2),
    Crowd(1, CONNECTIONS, workers=1),
    Crowd(1, CONNECTIONS, workers=2),
    Crowd(1, 256, workers=2),
    Crowd(1_000, CONNECTIONS, workers=2),
    Crowd(100_000, CONNECTIONS, workers=2),
)
"""At last many more tokens than a process answers in the second for which it remembers them."""


def main() -> None:
    options = _options()
    environment.forget_own_portal()
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="permatoken-bench-")))
        database = stack.enter_context(services.postgresql())
        settings = Settings(folder, database, stack.enter_context(services.redis()))
        _say(f"Planting {options.tokens:,} tokens of each kind…")
        planted = step(settings, "portal", "portal", "plant", str(options.tokens))
        all_of_them = _contestants(settings, planted, options)
        bench = _Bench(settings, all_of_them, options)
        cpu, loads = bench.cpu(all_of_them), bench.loads(all_of_them)
        growth, crowds = (
            (bench.growth(cpu), bench.crowds(planted)) if not options.only else ({}, {})
        )
        bench.close()
        text = report.write(
            *(cpu, loads, growth, crowds),
            busy=bench.busy,
            options=options,
            versions=_versions(database, settings),
        )
    _say(text)
    if options.write:
        (ROOT / "benchmarks" / "RESULTS.md").write_text(text)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benchmarks.verify", description=__doc__)
    parser.add_argument("--tokens", type=int, default=100_000)
    parser.add_argument(
        "--many", type=int, nargs="*", default=[1_000_000, 10_000_000], help="tokens, later"
    )
    parser.add_argument("--rounds", type=int, default=7, help="turns of everybody")
    parser.add_argument("--cpu-seconds", type=float, default=0.3, help="of each turn in process")
    parser.add_argument("--http-rounds", type=int, default=3, help="turns over loopback")
    parser.add_argument("--http-seconds", type=int, default=4, help="of each turn over loopback")
    parser.add_argument("--workers", type=int, default=2, help="of granian")
    parser.add_argument("--threads", type=int, default=4, help="of each worker")
    parser.add_argument("--only", default="", help="measure those whose name has this, and floor")
    parser.add_argument("--no-write", dest="write", action="store_false", help="only print")
    return parser.parse_args()


def _contestants(
    settings: Settings, planted: dict[str, Any], options: argparse.Namespace
) -> list[Contestant]:
    authorizations = step(settings, "peers", "peers.plant", str(options.tokens))
    peers, ours = contestants.peers(authorizations), contestants.portal(planted)
    everybody = [*peers, *contestants.limits(), *ours]
    return [
        each for each in everybody if options.only in each.name or each.name == contestants.FLOOR
    ]


class _Bench:
    """Takes the turns."""

    def __init__(
        self, settings: Settings, all_of_them: list[Contestant], options: argparse.Namespace
    ) -> None:
        self._settings, self._options = settings, options
        self._all = all_of_them
        self._unseen = _unseen(all_of_them)
        self._stalls = {
            name: Stall(module, settings.of(name))
            for name, module in MODULES.items()
            if any(each.stall == name for each in all_of_them)
        }
        self.busy: list[float] = []
        """The machine's load before each turn: processes that run or wait, of a minute."""

    def close(self) -> None:
        for stall in self._stalls.values():
            stall.close()

    def cpu(self, some: list[Contestant]) -> Figures:
        """Microseconds for each contestant, one figure a round. A first round warms up."""
        found = defaultdict(list)
        measured = [each for each in some if each.stall in self._stalls]
        for turn in range(self._options.rounds + 1):
            self._note_load()
            _say(f"In process, round {turn} of {self._options.rounds}…")
            for each in measured:
                seconds = self._options.cpu_seconds if turn else 0.1
                figure = self._stalls[each.stall].measure(each, seconds, self._unseen)
                if turn:
                    found[each.name].append(figure)
        return dict(found)

    def loads(self, some: list[Contestant]) -> dict[str, list[Load]]:
        """The load that a server carries for each contestant, one figure a round."""
        options, found = self._options, defaultdict(list)
        for turn in range(1, options.http_rounds + 1):
            for each in some:
                share = min(COLD_OVER_HTTP, options.tokens // options.http_rounds // 2)
                requests = list(islice(self._unseen, share)) if each.unseen else each.requests
                self._note_load()
                carried = self._carried(each, requests, CONNECTIONS, options.workers)
                _say(
                    f"Over loopback, {turn} of {options.http_rounds}: {each.name} "
                    f"{carried.rate:,.0f}"
                )
                found[each.name].append(carried)
        return dict(found)

    def growth(self, cpu: Figures) -> dict[int, Figures]:
        """Microseconds for hot and cold tokens, by the number of tokens in the table."""
        again = [each for each in self._all if each.name in contestants.AGAIN]
        found = {FEW: self._with_few(again)}
        found[self._options.tokens] = {each.name: cpu[each.name] for each in again}
        for many in self._options.many:
            _say(f"Adding tokens up to {many:,}…")
            step(self._settings, "portal", "portal", "more", str(many))
            found[many] = self.cpu(again)
        return found

    def crowds(self, planted: dict[str, Any]) -> dict[Crowd, list[Load]]:
        """The load that is carried for so many tokens, connections and workers."""
        found = defaultdict(list)
        hot = next(each for each in self._all if each.name == contestants.HOT)
        everybodys = [planted["good"], *planted["unseen"]]
        for turn in range(1, self._options.http_rounds + 1):
            for crowd in CROWDS:
                requests = contestants.verifications(everybodys[: crowd.tokens])
                self._note_load()
                carried = self._carried(hot, requests, crowd.connections, crowd.workers)
                _say(f"As work grows, {turn}: {crowd} {carried.rate:,.0f}")
                found[crowd].append(carried)
        return dict(found)

    def _with_few(self, again: list[Contestant]) -> Figures:
        """In a database of its own."""
        planted = step(self._settings, "few", "portal", "plant", str(FEW))
        some = {each.name: each._replace(stall="few") for each in contestants.portal(planted)}
        few = _Bench(self._settings, [some[contestants.HOT], some[contestants.COLD]], self._options)
        few._unseen = _around(some[contestants.COLD].requests)
        figures = few.cpu(few._all)
        few.close()
        floor = next(each for each in again if each.name == contestants.FLOOR)
        return {**self.cpu([floor]), **figures}

    def _carried(
        self, contestant: Contestant, requests: list[Any], connections: int, workers: int
    ) -> Load:
        options = self._options
        with served(contestant, self._settings, workers=workers, threads=options.threads) as port:
            load.measure(port=port, requests=contestant.requests[:1], seconds=1)
            carried = load.measure(
                port=port,
                requests=requests,
                seconds=options.http_seconds,
                connections=connections,
            )
        assert carried.refused in (None, float(contestant.status != "200")), (contestant, carried)
        return carried

    def _note_load(self) -> None:
        self.busy.append(os.getloadavg()[0])


def _unseen(all_of_them: list[Contestant]) -> Iterator[Any]:
    """Requests with tokens that nobody has sent yet."""
    return iter([request for each in all_of_them if each.unseen for request in each.requests])


def _around(requests: list[Any]) -> Iterator[Any]:
    """So few are sent again, when a process has forgotten them."""
    while True:
        yield from requests


def _versions(database: str, settings: Settings) -> list[str]:
    with psycopg.connect(database) as connection:
        row = connection.execute("SHOW server_version").fetchone()
        assert row is not None
    packages = step(settings, "peers", "report")
    return [f"PostgreSQL {row[0]}", *packages["versions"], load.client_name()]


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
