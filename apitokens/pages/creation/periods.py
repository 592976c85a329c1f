"""Periods that a form offers beside its date: from today, each with the date it ends on."""

import calendar
from datetime import date, timedelta
from typing import NamedTuple

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

DAYS = (7, 30, 90)


class Period(NamedTuple):
    label: str
    ends_on: date
    is_chosen: bool

    @property
    def value(self) -> str:
        """The date as a form sends it."""
        return self.ends_on.isoformat()


def periods(today: date, *, chosen: object) -> list[Period]:
    """The periods from today, of which the one that ends on the chosen date is marked."""
    ends = [(_days(number), today + timedelta(days=number)) for number in DAYS]
    ends.append((_("1 year"), a_year_after(today)))
    return [Period(label, ends_on, str(chosen) == str(ends_on)) for label, ends_on in ends]


def a_year_after(day: date) -> date:
    """The same day of the next year (28 February after the 29th)."""
    last = calendar.monthrange(day.year + 1, day.month)[1]
    return day.replace(year=day.year + 1, day=min(day.day, last))


def _days(number: int) -> str:
    return ngettext("%(count)d day", "%(count)d days", number) % {"count": number}
