"""The chart of use: numbers become bars, an axis and days."""

from datetime import date, timedelta

import pytest

from apitokens.pages.chart import DAYS_SHOWN, HEIGHT, chart

TODAY = date(2026, 5, 4)
YESTERDAY = TODAY - timedelta(days=1)


def test_chart_has_the_thirty_days_that_end_today() -> None:
    drawn = chart([(TODAY, 4, 0), (TODAY - timedelta(days=29), 2, 1)], today=TODAY)
    days = [bar.day for bar in drawn.bars]
    assert (len(days), days[0], days[-1]) == (DAYS_SHOWN, TODAY - timedelta(days=29), TODAY)
    assert (drawn.uses, drawn.refused, drawn.busiest.day) == (6, 1, TODAY)


def test_bars_are_as_high_as_their_numbers() -> None:
    drawn = chart([(TODAY, 400, 0), (YESTERDAY, 100, 300)], today=TODAY)
    assert [bar.height for bar in drawn.bars[-2:]] == [HEIGHT // 4, HEIGHT]
    assert drawn.bars[-2].refused_height == HEIGHT * 3 // 4
    assert all(bar.y + bar.height == HEIGHT for bar in drawn.bars)


def test_refused_uses_stand_on_the_good_ones() -> None:
    bar = chart([(TODAY, 30, 10)], today=TODAY).bars[-1]
    assert bar.refused_y + bar.refused_height == bar.y
    assert bar.refused_y >= 0


def test_single_use_beside_a_million_can_be_seen() -> None:
    drawn = chart([(TODAY, 1_000_000, 0), (YESTERDAY, 1, 0)], today=TODAY)
    assert drawn.bars[-2].height == 2
    assert drawn.bars[-3].height == 0


@pytest.mark.parametrize(
    ("most", "values"),
    [
        (0, [2, 1, 0]),
        (1, [2, 1, 0]),
        (3, [4, 2, 0]),
        (9, [20, 10, 0]),
        (401, [600, 300, 0]),
        (10**15, [2 * 10**15, 10**15, 0]),
    ],
)
def test_axis_has_round_values_that_hold_the_highest_bar(most: int, values: list[int]) -> None:
    drawn = chart([(TODAY, most, 0)], today=TODAY)
    assert [tick.value for tick in drawn.ticks] == values
    assert [tick.y for tick in drawn.ticks] == [0, HEIGHT // 2, HEIGHT]


def test_bars_do_not_touch() -> None:
    drawn = chart([], today=TODAY)
    ends = [bar.x + drawn.bar_width for bar in drawn.bars]
    assert all(end < after.x for end, after in zip(ends, drawn.bars[1:], strict=False))
    assert ends[-1] <= drawn.width


def test_days_before_the_chart_are_not_in_it() -> None:
    assert chart([(TODAY - timedelta(days=30), 9, 9)], today=TODAY).is_empty
