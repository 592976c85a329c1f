"""Days in every time zone, on the nights when clocks are put forward or back."""

from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo, available_timezones

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from hypothesis import given
from hypothesis import strategies as st

from accounts.models import Membership, User
from accounts.roles import Role
from apitokens.expiry.schedule import due_threshold, first_notice_due
from apitokens.pages.creation.forms import ON_DATE, TokenForm
from notifications.email.rendering import in_zone
from notifications.time_zones import end_of_day, start_of_day, zone_of
from tests.conftest import SignIn

SECOND, INSTANT, DAY = timedelta(seconds=1), timedelta(microseconds=1), timedelta(days=1)
ZONES = sorted(available_timezones())
days = st.dates(min_value=date(1971, 1, 1), max_value=date(2100, 1, 1))


def odd_nights(zone: ZoneInfo) -> Iterator[date]:
    """The days of two years on which the clocks change, and those before them."""
    offset = None
    for number in range(2 * 366):
        day = date(2026, 1, 1) + number * DAY
        found = datetime(day.year, day.month, day.day, 12, tzinfo=zone).utcoffset()
        if offset is not None and found != offset:
            yield from (day - DAY, day)
        offset = found


def assert_is_a_whole_day(day: date, zone: ZoneInfo) -> None:
    start, end = start_of_day(day, zone), end_of_day(day, zone)

    assert start.astimezone(zone).date() == day
    assert (start - INSTANT).astimezone(zone).date() < day
    assert end.astimezone(zone).date() == day
    assert (end + SECOND).astimezone(zone).date() > day
    assert end + SECOND == start_of_day(day + DAY, zone)


def test_days_are_whole_on_the_odd_nights_of_all_zones() -> None:
    nights = [(day, ZoneInfo(name)) for name in ZONES for day in odd_nights(ZoneInfo(name))]

    assert len(nights) > 500
    for day, zone in nights:
        assert_is_a_whole_day(day, zone)


@given(st.sampled_from(ZONES), days)
def test_days_follow_each_other_in_every_zone(name: str, day: date) -> None:
    """Also in zones that once left a day out, to be on the other side of the date line."""
    zone = ZoneInfo(name)
    start, end = start_of_day(day, zone), end_of_day(day, zone)

    assert timedelta(0) <= end + SECOND - start <= timedelta(hours=26)
    if end > start:
        assert_is_a_whole_day(day, zone)


@pytest.mark.parametrize(
    ("name", "day", "end"),
    [
        ("Europe/Berlin", date(2026, 3, 29), "2026-03-29T21:59:59+00:00"),
        ("Asia/Beirut", date(2026, 10, 24), "2026-10-24T21:59:59+00:00"),  # 23:59:59 comes twice
        ("America/Santiago", date(2026, 4, 4), "2026-04-05T03:59:59+00:00"),  # here, too
        ("Africa/Cairo", date(2026, 4, 23), "2026-04-23T21:59:59+00:00"),  # no midnight follows
        ("America/Scoresbysund", date(2048, 3, 28), "2048-03-29T00:59:59+00:00"),  # no 23:59
        ("Pacific/Kiritimati", date(2026, 1, 1), "2026-01-01T09:59:59+00:00"),
        ("UTC", date.max, "9000-01-01T23:59:59+00:00"),
        ("Pacific/Kiritimati", date.min, "1970-01-02T10:39:59+00:00"),
    ],
)
def test_expiration_date_means_the_whole_day(name: str, day: date, end: str) -> None:
    assert end_of_day(day, ZoneInfo(name)).isoformat() == end


@given(st.sampled_from(ZONES), days)
def test_chosen_date_is_the_date_that_is_shown(name: str, day: date) -> None:
    zone = ZoneInfo(name)
    with timezone.override(zone):
        form = TokenForm(own_role=Role.USERS, account_id=1)
        form.cleaned_data = {"expiration": ON_DATE, "expires_on": day}
        end = form.expires_at
    assert end is not None

    if start_of_day(day, zone) < end:
        last, next_ = (timezone.localtime(at, zone) for at in (end, end + SECOND))
        assert last.date() == day < next_.date()
        # Usually 23:59. In a night in which the clocks are put forward it may be an hour before.
        assert in_zone(end, name).startswith(f"{day.day} {day:%b} {day.year}, {last:%H:%M}")


@given(st.sampled_from(ZONES), days)
def test_notices_come_whole_days_before_the_end_in_every_zone(name: str, day: date) -> None:
    """Days of 24 hours: a reader of "1 day" has one, though a night in between was odd."""
    end = end_of_day(day, ZoneInfo(name))

    assert first_notice_due(end, created_at=end - 30 * DAY) == end - 7 * DAY
    for left, told in ((DAY, 1), (DAY + INSTANT, 7), (7 * DAY, 7), (7 * DAY + INSTANT, None)):
        assert due_threshold(end, at=(end - left).astimezone(ZoneInfo(name))) == told


@pytest.mark.parametrize("name", ["Nowhere/Gone", "", "Europe", "../etc/passwd", "\0"])
def test_unknown_zone_is_utc(name: str) -> None:
    assert zone_of(name) is UTC


@pytest.mark.django_db
def test_person_whose_zone_is_gone_can_choose_another(
    client: Client, user: Membership, sign_in: SignIn
) -> None:
    User.objects.filter(pk=user.user_id).update(time_zone="Nowhere/Gone")
    sign_in(client, user)

    assert client.get(reverse("accounts:profile")).status_code == 200
