"""A chart of thirty days of use, with refused uses on the good ones. Pure: shapes of numbers."""

from collections.abc import Iterable
from datetime import date, timedelta
from typing import NamedTuple

DAYS_SHOWN = 30
HEIGHT = 120
STEP = 20
BAR_WIDTH = 14
LEAST_HEIGHT = 2
_EVEN_DIGITS = (2, 4, 6, 8)

DayCounts = tuple[date, int, int]
"""A day, its uses, and how many more were refused."""


class Bar(NamedTuple):
    """A day of the chart: its uses, and on top of them what was refused. In units of the drawing,
    from the left and the ground."""

    day: date
    uses: int
    refused: int
    x: int
    height: int
    refused_height: int

    @property
    def y(self) -> int:
        return HEIGHT - self.height

    @property
    def refused_y(self) -> int:
        return self.y - self.refused_height


class Tick(NamedTuple):
    """A value of the axis, and the line at its height."""

    value: int
    y: int


class Chart(NamedTuple):
    """The days, the oldest first."""

    bars: list[Bar]
    ticks: list[Tick]
    busiest: Bar
    width: int = DAYS_SHOWN * STEP
    height: int = HEIGHT
    bar_width: int = BAR_WIDTH

    @property
    def uses(self) -> int:
        return sum(bar.uses for bar in self.bars)

    @property
    def refused(self) -> int:
        return sum(bar.refused for bar in self.bars)

    @property
    def is_empty(self) -> bool:
        return not (self.uses or self.refused)

    @property
    def middle(self) -> Bar:
        return self.bars[DAYS_SHOWN // 2]

    @property
    def latest_first(self) -> list[Bar]:
        return self.bars[::-1]


def first_day(today: date) -> date:
    """The first of the days that the chart shows."""
    return today - timedelta(days=DAYS_SHOWN - 1)


def chart(counts: Iterable[DayCounts], *, today: date) -> Chart:
    """The thirty days that end today."""
    by_day = {day: (uses, refused) for day, uses, refused in counts}
    days = [first_day(today) + timedelta(days=number) for number in range(DAYS_SHOWN)]
    top = _round_up(max(sum(by_day.get(day, (0, 0))) for day in days))
    bars = []
    for place, day in enumerate(days):
        uses, refused = by_day.get(day, (0, 0))
        x = place * STEP + (STEP - BAR_WIDTH) // 2
        bars.append(Bar(day, uses, refused, x, _height(uses, top), _height(refused, top)))
    ticks = [Tick(value, HEIGHT - _height(value, top)) for value in (top, top // 2, 0)]
    return Chart(bars, ticks, busiest=max(bars, key=lambda bar: bar.uses))


def _round_up(most: int) -> int:
    """The end of the axis: an even number, so that its middle is one too, of one digit and
    zeros."""
    power = 1
    while most > _EVEN_DIGITS[-1] * power:
        power *= 10
    return next(digit * power for digit in _EVEN_DIGITS if digit * power >= most)


def _height(value: int, top: int) -> int:
    return max(LEAST_HEIGHT, round(value / top * HEIGHT)) if value else 0
