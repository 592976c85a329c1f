"""Behind a pooler that shares connections by transaction the portal works, and leaves nothing."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.db import connection, transaction
from django.http import HttpResponse
from django.test import Client, RequestFactory

from config.database.limits import limit_waits
from tests.config.database.conftest import CREATE, FORM, LIST
from tests.conftest import is_on_postgresql
from tests.pgbouncer import pgbouncer

pytestmark = [
    pytest.mark.pgbouncer,
    pytest.mark.skipif(not is_on_postgresql(), reason="PgBouncer is PostgreSQL's"),
    pytest.mark.django_db(transaction=True),
]


@pytest.fixture
def pooled(transactional_db: None, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The portal reaches its database through PgBouncer."""
    own, parameters = connection.settings_dict, connection.get_connection_params()
    with (
        pgbouncer(host=parameters["host"], user=parameters["user"]) as port,
        monkeypatch.context() as patch,
    ):
        connection.close()
        patch.setitem(own, "HOST", "127.0.0.1")
        patch.setitem(own, "PORT", str(port))
        yield
        connection.close()


def bounds() -> tuple[str, str]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT current_setting('lock_timeout'), current_setting('statement_timeout')"
        )
        found: tuple[str, str] = cursor.fetchone()
    return found


def test_bounds_hold_behind_a_pooler_and_leak_to_nobody(browser: Client, pooled: None) -> None:
    seen = []

    def view(_request: Any) -> HttpResponse:
        seen.append(bounds())
        with transaction.atomic():
            seen.extend([bounds(), bounds()])
        return HttpResponse()

    limit_waits(view)(RequestFactory().get("/"))

    assert seen == [("5s", "20s")] * 3
    assert bounds() == ("0", "0")  # on the one connection that all share
    assert "New API token created" in browser.post(CREATE, FORM).content.decode()
    assert FORM["name"] in browser.get(LIST).content.decode()
