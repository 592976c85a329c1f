"""What benchmarks say of how long questions took."""

import statistics
from collections.abc import Sequence


def p99(waits: Sequence[float]) -> float:
    """So long took 99 of 100 at most, in the unit of `waits`."""
    return statistics.quantiles(waits, n=100)[98]
