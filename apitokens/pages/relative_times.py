"""Says how long ago something was: "2 hours ago"."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

MINUTE, HOUR, DAY = timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)
MONTH, YEAR = timedelta(days=30), timedelta(days=365)

Words = Callable[[int], str]

UNITS: tuple[tuple[timedelta, Words], ...] = (
    (YEAR, lambda n: ngettext("%(count)d year ago", "%(count)d years ago", n)),
    (MONTH, lambda n: ngettext("%(count)d month ago", "%(count)d months ago", n)),
    (DAY, lambda n: ngettext("%(count)d day ago", "%(count)d days ago", n)),
    (HOUR, lambda n: ngettext("%(count)d hour ago", "%(count)d hours ago", n)),
    (MINUTE, lambda n: ngettext("%(count)d minute ago", "%(count)d minutes ago", n)),
)


def time_ago(moment: datetime, *, at: datetime) -> str:
    """The time from the moment to `at` in words, in whole units, rounded down. What is less than a
    minute ago, or ahead because clocks differ, is "just now"."""
    passed = at.astimezone(UTC) - moment.astimezone(UTC)
    for unit, words in UNITS:
        if (number := passed // unit) >= 1:
            return words(number) % {"count": number}
    return _("just now")
