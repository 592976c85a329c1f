"""Computes when a notice of expiration falls due. Pure: exact instants, days of 24 hours each.

Python reckons within one time zone by the clock on the wall: a day around a clock change would have
23 or 25 hours. So everything is reckoned in UTC.
"""

from datetime import UTC, datetime, timedelta

DAY = timedelta(days=1)
NOTICE_DAYS = (7, 1)
"""Days before the expiration on which people are told, the earliest first."""
SPANS = [(days, DAY * days) for days in sorted(NOTICE_DAYS)]


def first_notice_due(expires_at: datetime | None, *, created_at: datetime) -> datetime | None:
    """The first notice that a token created then ever gets. None: it never expires, or it was
    created after even the last notice would have been due."""
    if expires_at is None:
        return None
    end, start = expires_at.astimezone(UTC), created_at.astimezone(UTC)
    dues = (end - timedelta(days=days) for days in NOTICE_DAYS)
    return min((due for due in dues if due > start), default=None)


def due_threshold(expires_at: datetime, *, at: datetime) -> int | None:
    """The most urgent threshold passed at `at`, in days; None before all and after the end."""
    return threshold_within(expires_at.astimezone(UTC) - at.astimezone(UTC))


def threshold_within(remaining: timedelta) -> int | None:
    """The same for a token with so much time left."""
    if remaining <= timedelta(0):
        return None
    return next((days for days, span in SPANS if remaining <= span), None)
