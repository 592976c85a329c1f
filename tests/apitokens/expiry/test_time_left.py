"""How long a token still has, in words: rounded down, in every language, everywhere alike."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from django.conf import settings
from django.utils import translation
from django.utils.timesince import timeuntil

from apitokens.expiry.time_left import time_left

NOW = datetime(2026, 3, 28, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("remaining", "words"),
    [
        ({"days": 400}, "400 days"),
        ({"days": 7}, "7 days"),
        ({"days": 6, "hours": 23, "minutes": 59}, "6 days"),
        ({"days": 1}, "1 day"),
        ({"hours": 23, "minutes": 59, "seconds": 59}, "23 hours"),
        ({"minutes": 59, "seconds": 59}, "59 minutes"),
        ({"seconds": 119}, "1 minute"),
        ({"seconds": 1}, "1 minute"),
    ],
    ids=str,
)
def test_time_left_is_rounded_down_and_never_nothing(remaining: dict[str, int], words: str) -> None:
    assert time_left(NOW + timedelta(**remaining), at=NOW).replace("\xa0", " ") == words


def test_days_have_24_hours_also_when_the_clock_changes() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    at = datetime(2026, 3, 28, 12, tzinfo=berlin)
    assert time_left(datetime(2026, 3, 29, 12, tzinfo=berlin), at=at) == "23\xa0hours"


@pytest.mark.parametrize("language", [code for code, _name in settings.LANGUAGES])
def test_time_left_is_told_in_the_plural_forms_of_the_language(language: str) -> None:
    spans = [timedelta(**{unit: n}) for unit in ("days", "hours", "minutes") for n in (1, 2, 5, 6)]
    with translation.override(language):
        for span in spans:
            assert time_left(NOW + span, at=NOW) == timeuntil(NOW + span, NOW)
