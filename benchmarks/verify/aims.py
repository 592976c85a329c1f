"""What the figures should be, and whether they are."""

import statistics
from collections.abc import Iterator
from typing import NamedTuple

from benchmarks.verify.contestants import (
    CEILING,
    COLD,
    FLOOR,
    HOT,
    HOT_INTROSPECTION,
    LIMITED,
    PEERS,
    REFUSED,
    ROTATED,
    UNCOUNTED,
)
from benchmarks.verify.wrk import Load, typical

Figures = dict[str, list[float]]
AUTHENTICATING = list(PEERS.values())[2:]
"""The peers that look a token up."""


class Aim(NamedTuple):
    """A ratio of two figures, and what it should be at least, or at most."""

    words: str
    ratio: float
    bound: float
    is_least: bool = False

    @property
    def is_reached(self) -> bool:
        return self.ratio >= self.bound if self.is_least else self.ratio <= self.bound


def lines(cpu: Figures, loads: dict[str, list[Load]]) -> list[str]:
    """A line of the table for each aim about what was measured."""
    return [
        f"| {aim.words} | {aim.ratio:.2f} | at {'least' if aim.is_least else 'most'} "
        f"{aim.bound:.2f} | {'yes' if aim.is_reached else '**no**'} |"
        for aim in [*_of_cpu(cpu), *_of_loads(loads)]
    ]


def _of_cpu(cpu: Figures) -> Iterator[Aim]:
    wanted = [
        (HOT, FLOOR, 0.15),
        (HOT_INTROSPECTION, FLOOR, 0.35),
        *((refused, HOT, 1.1) for refused in REFUSED),
        *((limited, plain, 1.1) for plain, limited in LIMITED.items()),
        (ROTATED, HOT, 1.1),
        (HOT, UNCOUNTED, 1.03),
    ]
    for name, beside, most in wanted:
        if name in cpu and beside in cpu:
            ratio = statistics.median(cpu[name]) / statistics.median(cpu[beside])
            yield Aim(f"CPU: {name} / {beside}", ratio, most)


def _of_loads(loads: dict[str, list[Load]]) -> Iterator[Aim]:
    wanted = [
        (HOT, FLOOR, 2.5),
        (HOT, CEILING, 0.8),
        (HOT_INTROSPECTION, FLOOR, 1.8),
        *((refused, HOT, 0.9) for refused in REFUSED),
    ]
    for name, beside, least in wanted:
        if name in loads and beside in loads:
            ratio = typical(loads[name]).rate / typical(loads[beside]).rate
            yield Aim(f"requests/s: {name} / {beside}", ratio, least, is_least=True)
    if COLD in loads:
        cold = typical(loads[COLD])
        peers = [typical(loads[name]).rate for name in AUTHENTICATING if name in loads]
        if peers:
            best = f"requests/s: {COLD} / the best peer"
            yield Aim(best, cold.rate / max(peers), 1, is_least=True)
        yield Aim(f"{COLD}: p99 / p50", cold.p99_ms / cold.p50_ms, 4)
