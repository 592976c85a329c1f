"""When a notice of expiration falls due. Pure: exact instants, days of 24 hours each."""

from datetime import datetime, timedelta

NOTICE_DAYS = (7, 1)
"""How many days before the expiration people are told, the earliest first."""


def first_notice_due(expires_at: datetime | None, *, created_at: datetime) -> datetime | None:
    """The first notice that a token created then ever gets. None: it never expires, or it was
    created after even the last notice would have been due."""
    if expires_at is None:
        return None
    dues = (expires_at - timedelta(days=days) for days in NOTICE_DAYS)
    return min((due for due in dues if due > created_at), default=None)


def due_threshold(expires_at: datetime, *, at: datetime) -> int | None:
    """The most urgent threshold passed at `at`, in days; None before all and after the end."""
    if at >= expires_at:
        return None
    passed = [days for days in NOTICE_DAYS if expires_at - timedelta(days=days) <= at]
    return min(passed, default=None)
