"""Instants come from PostgreSQL as Django gives them, without its detour."""

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch
from zoneinfo import ZoneInfo

import pytest
from django.db import DataError, connection
from psycopg.types.datetime import TimestamptzLoader

from config.database import instants
from tests.conftest import is_on_postgresql

pytestmark = [
    pytest.mark.skipif(not is_on_postgresql(), reason="SQLite keeps instants as text"),
    pytest.mark.django_db,
]


def read(written: str) -> Any:
    with connection.cursor() as cursor:
        cursor.execute("SELECT %s::timestamptz", [written])
        return cursor.fetchone()[0]


@pytest.mark.parametrize(
    ("written", "instant"),
    [
        ("2026-12-01 18:45:03.123456+00", datetime(2026, 12, 1, 18, 45, 3, 123456, UTC)),
        ("2026-12-01 18:45:03.5+00", datetime(2026, 12, 1, 18, 45, 3, 500_000, UTC)),
        ("2026-12-01 18:45:03+00", datetime(2026, 12, 1, 18, 45, 3, 0, UTC)),
        ("2026-12-01 18:45:03+05:30", datetime(2026, 12, 1, 13, 15, 3, 0, UTC)),
        ("1883-11-18 12:00:00+00", datetime(1883, 11, 18, 12, 0, 0, 0, UTC)),
        ("0001-01-01 00:00:00+00", datetime(1, 1, 1, 0, 0, 0, 0, UTC)),
        ("9999-12-31 23:59:59.999999+00", datetime(9999, 12, 31, 23, 59, 59, 999_999, UTC)),
    ],
)
def test_instant_is_read_as_it_was_written(written: str, instant: datetime) -> None:
    with patch.object(TimestamptzLoader, "load", side_effect=AssertionError):
        found = read(written)

    assert (found, found.tzinfo) == (instant, UTC)


@pytest.mark.parametrize("written", ["infinity", "0044-03-15 12:00:00 BC", "10000-01-01 00:00+00"])
def test_what_is_no_instant_of_python_is_an_error_as_before(written: str) -> None:
    with pytest.raises(DataError):
        read(written)


def test_null_stays_none() -> None:
    with connection.cursor() as cursor:
        cursor.execute("SELECT NULL::timestamptz")
        assert cursor.fetchone() == (None,)


def test_connection_in_another_zone_keeps_the_loader_of_django() -> None:
    elsewhere = SimpleNamespace(vendor="postgresql", timezone=ZoneInfo("Asia/Tokyo"))

    instants.register(connection=elsewhere)  # which has no adapters to change
