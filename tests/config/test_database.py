"""What was kept stays kept."""

import pytest
from django.db import connection

from tests.conftest import is_on_postgresql

FULL = 2


@pytest.mark.both
@pytest.mark.skipif(is_on_postgresql(), reason="PostgreSQL does so unless told otherwise")
@pytest.mark.django_db
def test_no_power_cut_can_undo_what_sqlite_has_committed() -> None:
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA synchronous")
        assert cursor.fetchone() == (FULL,)
