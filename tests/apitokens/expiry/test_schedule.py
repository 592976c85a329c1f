"""When a notice falls due: exact instants, each told once, only the most urgent of those missed."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from apitokens.expiry.schedule import NOTICE_DAYS, due_threshold, first_notice_due

DAY = timedelta(days=1)
INSTANT = timedelta(microseconds=1)
BERLIN = ZoneInfo("Europe/Berlin")
ends = st.datetimes(
    min_value=datetime(2020, 1, 1),  # noqa: DTZ001  # hypothesis adds the zone
    max_value=datetime(2100, 1, 1),  # noqa: DTZ001
    timezones=st.sampled_from([UTC, BERLIN, ZoneInfo("Australia/Lord_Howe")]),
    allow_imaginary=False,
)
spans = st.timedeltas(min_value=INSTANT, max_value=timedelta(days=30))


@given(end=ends, left=spans)
def test_threshold_is_the_most_urgent_that_has_passed(end: datetime, left: timedelta) -> None:
    days = due_threshold(end, at=end.astimezone(UTC) - left)
    if left <= DAY:
        assert days == 1
    elif left <= 7 * DAY:
        assert days == 7
    else:
        assert days is None


@given(end=ends, late=st.timedeltas(min_value=timedelta(0), max_value=timedelta(days=30)))
def test_nothing_is_due_from_the_end_on(end: datetime, late: timedelta) -> None:
    assert due_threshold(end, at=end.astimezone(UTC) + late) is None


@pytest.mark.parametrize("days", NOTICE_DAYS)
def test_notice_falls_due_at_the_exact_instant(days: int) -> None:
    end = datetime(2026, 3, 29, 12, 0, tzinfo=UTC)
    due = end - days * DAY
    assert due_threshold(end, at=due) == days
    assert due_threshold(end, at=due - INSTANT) != days


@pytest.mark.parametrize(("month", "day"), [(3, 29), (10, 25)])
def test_clock_changes_move_no_notice(month: int, day: int) -> None:
    end = datetime(2026, month, day, 15, 0, tzinfo=BERLIN)  # the clocks changed that night
    due = end.astimezone(UTC) - DAY
    for moment in (due, due.astimezone(BERLIN)):
        assert due_threshold(end, at=moment) == 1
        assert due_threshold(end, at=moment - INSTANT) == 7
        assert first_notice_due(end, created_at=moment - INSTANT) == due
        assert first_notice_due(end, created_at=moment) is None


@given(end=ends, life=spans)
def test_first_notice_is_the_first_instant_after_the_creation(
    end: datetime, life: timedelta
) -> None:
    first = first_notice_due(end, created_at=end.astimezone(UTC) - life)
    if life > 7 * DAY:
        assert first == end.astimezone(UTC) - 7 * DAY
    elif life > DAY:
        assert first == end.astimezone(UTC) - DAY
    else:
        assert first is None


@given(end=ends, life=spans)
def test_first_notice_passes_a_threshold(end: datetime, life: timedelta) -> None:
    first = first_notice_due(end, created_at=end.astimezone(UTC) - life)
    assert first is None or due_threshold(end, at=first) in NOTICE_DAYS


def test_token_that_never_expires_has_no_notice() -> None:
    assert first_notice_due(None, created_at=datetime(2026, 1, 1, tzinfo=UTC)) is None
