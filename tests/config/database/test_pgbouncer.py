"""Behind a pooler that shares connections by transaction the portal works, and leaves nothing."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import psycopg
import pytest
from django.db import connection, transaction
from django.http import HttpResponse
from django.test import Client, RequestFactory
from django.urls import reverse
from django.utils import timezone

from accounts.roles import Role
from config.database.limits import limit_waits
from tests.config.database.conftest import CREATE, FORM, LIST
from tests.conftest import is_on_postgresql
from tests.factories import UserFactory, issue
from tests.pgbouncer import pgbouncer
from tests.tenancy.fixture import browser as signed_in
from tests.tenancy.routes import routes
from tests.tenancy.two_accounts import build

pytestmark = [
    pytest.mark.pgbouncer,
    pytest.mark.skipif(not is_on_postgresql(), reason="PgBouncer is PostgreSQL's"),
    pytest.mark.django_db(transaction=True),
]


@contextmanager
def through_pgbouncer(servers: int) -> Iterator[None]:
    """The portal reaches its database through PgBouncer, which has so many connections to it."""
    own, parameters = connection.settings_dict, connection.get_connection_params()
    place = {"host": parameters["host"], "user": parameters["user"]}
    with pgbouncer(**place, servers=servers) as port, pytest.MonkeyPatch.context() as patch:
        connection.close()
        patch.setitem(own, "HOST", "127.0.0.1")
        patch.setitem(own, "PORT", str(port))
        with ExitStack() as at_once:  # so that all of them are there
            for _each in range(servers):
                client = psycopg.connect(
                    host="127.0.0.1", port=port, user=place["user"], dbname=own["NAME"]
                )
                at_once.enter_context(client).execute("SELECT 1")
        yield
        connection.close()


@pytest.fixture
def pooled(transactional_db: None) -> Iterator[None]:
    """All that the portal does is done by one connection."""
    with through_pgbouncer(servers=1):
        yield


@pytest.fixture
def pooled_by_turns(transactional_db: None) -> Iterator[None]:
    """Each transaction of the portal is another connection's than the one before."""
    with through_pgbouncer(servers=3):
        yield


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


def test_each_transaction_has_another_connection(pooled_by_turns: None) -> None:
    """Without this, the walk below would prove nothing."""
    with connection.cursor() as cursor:
        seen = []
        for _each in range(3):
            cursor.execute("SELECT pg_backend_pid()")
            seen.append(cursor.fetchone())
    assert len(set(seen)) == 3


def test_every_page_call_and_file_is_served_behind_a_pooler(pooled_by_turns: None) -> None:
    person, colleague = UserFactory.create(is_staff=True, is_superuser=True), UserFactory.create()
    side, served = build("Acme", person, colleague, timezone.now()), 0
    verified = issue(side.person, role=Role.ADMINISTRATORS, at=timezone.now()).key.spell()
    browser = signed_in(person, side.person, verified)
    operated = {"app_label": "accounts"}
    for route in routes():
        if route.name.startswith("admin:") and set(route.arguments) <= set(operated):
            address = reverse(route.name, kwargs={n: operated[n] for n in route.arguments})
        elif "account_id" in route.arguments:
            address = side.address(route)
        elif route.arguments in ((), ("client_id",)):
            address = reverse(route.name, args=[side.account.pk] if route.arguments else [])
        else:
            continue
        answer: Any = browser.get(address)
        # Nobody sends mails here, which it says.
        assert answer.status_code < 500 or route.name == "healthz", address
        if answer.streaming:
            assert len(b"".join(answer.streaming_content).splitlines()) >= 2, address
        served += answer.status_code == 200
    assert served > 80
