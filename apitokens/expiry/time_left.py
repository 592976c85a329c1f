"""Says how long a token still has: the one place that does, for pages, the inbox and mails."""

from datetime import UTC, datetime, timedelta

from django.utils.html import avoid_wrapping
from django.utils.timesince import TIME_STRINGS

UNITS = (
    ("day", timedelta(days=1)),
    ("hour", timedelta(hours=1)),
    ("minute", timedelta(minutes=1)),
)


def time_left(end: datetime, *, at: datetime) -> str:
    """The time from `at` to `end` in words, in whole days, hours or minutes, rounded down: nobody
    counts on time that is not there. The last minute is "1 minute". The words are Django's, in
    every language."""
    # In UTC: within one zone Python would reckon by the clock on the wall.
    remaining = end.astimezone(UTC) - at.astimezone(UTC)
    unit, number = next(
        ((unit, whole) for unit, span in UNITS if (whole := remaining // span) >= 1), ("minute", 1)
    )
    return avoid_wrapping(TIME_STRINGS[unit] % {"num": number})
