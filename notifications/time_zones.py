"""Days where people are: they begin and end by the clock on the wall.

Some zones put it forward or back at midnight. There a day may begin at one o'clock, or have its
last hour twice.
"""

from datetime import UTC, date, datetime, time, timedelta, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

FIRST_DAY, LAST_DAY = date(1970, 1, 1), date(9000, 1, 1)
"""Days that begin and end in every time zone: the calendar's first and last do not."""


def zone_of(name: str) -> tzinfo:
    """The time zone of this name; UTC if this machine does not know it (any more)."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):  # OSError: a folder, such as "Europe"
        return UTC


def start_of_day(day: date, zone: tzinfo) -> datetime:
    """The first instant of the day in this zone."""
    # An hour that does not exist is read as if the clock had not been put forward yet: as the very
    # instant when it was. One that comes twice is the first of the two.
    return datetime.combine(day, time.min, tzinfo=zone).astimezone(UTC)


def end_of_day(day: date, zone: tzinfo) -> datetime:
    """The last second of the day in this zone: an expiration date means the whole day."""
    day = min(max(day, FIRST_DAY), LAST_DAY)
    return start_of_day(day + timedelta(days=1), zone) - timedelta(seconds=1)
