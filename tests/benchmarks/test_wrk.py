"""What wrk says of waits is read as what they were."""

from collections import Counter
from itertools import count, takewhile

from hypothesis import given
from hypothesis import strategies as st

from benchmarks.verify.wrk import read, true_waits

CONNECTIONS = 4


def with_what_wrk_adds(waits: Counter[int], *, usual: int) -> Counter[int]:
    counted = Counter(waits)
    for wait, times in waits.items():
        if wait >= 2 * usual:
            for less in takewhile(lambda less: less > usual, count(wait - usual, -usual)):
                counted[less] += times
    return counted


def said(counted: Counter[int], *, requests: int, microseconds: int, late: int = 0) -> str:
    lines = [f"requests {requests}", f"microseconds {microseconds}", "refused 0", f"late {late}"]
    return "\n".join([*lines, *(f"wait {wait} {times}" for wait, times in counted.items())])


@given(st.lists(st.integers(1, 5_000), min_size=1), st.integers(1, 700))
def test_waits_that_nobody_had_are_taken_out_again(waits: list[int], usual: int) -> None:
    counted = with_what_wrk_adds(Counter(waits), usual=usual)

    found = true_waits(counted, usual=usual)

    assert Counter({wait: times for wait, times in found.items() if times}) == Counter(waits)


def test_one_slow_moment_does_not_decide_what_99_of_100_wait() -> None:
    waits = Counter({100: 3_996, 50_000: 4})
    requests, microseconds = waits.total(), 100 * waits.total() // CONNECTIONS
    text = said(with_what_wrk_adds(waits, usual=100), requests=requests, microseconds=microseconds)

    load = read(text, connections=CONNECTIONS)

    assert (load.p50_ms, load.p99_ms, load.rate) == (0.1, 0.1, 40_000)


def test_wrk_that_adds_nothing_is_believed() -> None:
    waits = Counter({100: 3_900, 50_000: 100})
    text = said(waits, requests=4_000, microseconds=100_000)

    assert read(text, connections=CONNECTIONS).p99_ms == 50


def test_answers_for_which_wrk_keeps_no_wait_are_left_out() -> None:
    waits = Counter({100: 3_995, 50_000: 4})
    requests = waits.total() + 1
    text = said(
        with_what_wrk_adds(waits, usual=100), requests=requests, microseconds=100_000, late=1
    )

    assert read(text, connections=CONNECTIONS).p99_ms == 0.1


def test_few_answers_are_read_too() -> None:
    text = said(Counter({100: 3}), requests=3, microseconds=1_000_000)

    assert read(text, connections=CONNECTIONS).p50_ms == 0.1
