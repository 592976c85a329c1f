"""Behind a pooler that shares connections by transaction the portal works, and leaves nothing."""

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from html import unescape
from typing import Any

import psycopg
import pytest
from django.core.exceptions import ObjectDoesNotExist, ValidationError
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
from tests.tenancy.fixture import build as build_tenancy
from tests.tenancy.forms_of_the_person import PERSONAL_FORMS
from tests.tenancy.probe import outcome
from tests.tenancy.routes import routes
from tests.tenancy.test_calls import CALLS
from tests.tenancy.test_calls import address as call_address
from tests.tenancy.test_two_accounts import HIDDEN, ROUTES, form_to
from tests.tenancy.two_accounts import FORMS, Side, build

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
    """Of every object too: lists, pages about one thing, operators' pages, files, and calls."""
    tenancy, served = build_tenancy(), 0
    administrator, operator = (tenancy.clients[each] for each in ("administrator", "operator"))
    for route in routes():
        browser = operator if route.name.startswith("admin:") else administrator
        if route.name == "account_logout":
            continue
        answer: Any = browser.get(route.address(tenancy))
        # Nobody sends mails here, which it says.
        assert answer.status_code < 500 or route.name == "healthz", route
        if answer.streaming:
            assert len(b"".join(answer.streaming_content).splitlines()) >= 2, route
        served += answer.status_code == 200
    assert served > 110


def test_every_form_of_an_account_is_taken_behind_a_pooler(pooled_by_turns: None) -> None:
    """One after the other. An account that a form has left without what the next needs is
    followed by another."""
    person, colleague = UserFactory.create(), UserFactory.create()
    sides = (build(f"Company {n}", person, colleague, timezone.now()) for n in range(1, 20))
    side = next(sides)
    browser = signed_in(person, side.person)
    for name, form in FORMS.items():
        if _sent(browser, side, name) != form.outcome:
            side = next(sides)
            assert _sent(browser, side, name) == form.outcome, name


def _sent(browser: Client, side: Side, name: str) -> str:
    """What comes of the form; nothing, if the account has not what it needs any more."""
    form, address = FORMS[name], side.address(ROUTES[name])
    try:
        if form.prepare:
            form.prepare(side)
    except (ObjectDoesNotExist, ValidationError):
        return ""
    shown = browser.get(side.address(ROUTES[form.page]))
    page = unescape(shown.content.decode())
    if f'action="{address}"' not in page:
        assert shown.status_code < 500, name
        return ""
    typed = form.of_side(side) | ({form.key_in: side.key.spell()} if form.key_in else {})
    fields = dict(HIDDEN.findall(form_to(address, page))) | form.filled_in | typed
    answer = browser.post(address, fields)
    assert answer.status_code < 500, name
    return outcome(answer)


@pytest.mark.long
def test_every_form_of_a_person_is_taken_behind_a_pooler(pooled_by_turns: None) -> None:
    colleague = UserFactory.create()
    for name, form in PERSONAL_FORMS.items():
        person = UserFactory.create()
        side = build("Acme", person, colleague, timezone.now())
        browser = signed_in(person, side.person)
        made = form.prepare(side, browser)
        address = form.address(side, browser, made) if form.address else reverse(name)
        answer = browser.post(address, form.fields(side, browser, made))
        assert outcome(answer) == form.outcome, name


def test_every_call_is_taken_behind_a_pooler(pooled_by_turns: None) -> None:
    person, colleague = UserFactory.create(), UserFactory.create()
    for (name, method), call in CALLS.items():
        side = build("Acme", person, colleague, timezone.now())
        key = issue(side.person, role=Role.ADMINISTRATORS, at=timezone.now()).key.spell()
        if call.prepare:
            call.prepare(side)
        answer = Client(headers={"Authorization": f"APIKey {key}"}).generic(
            method, call_address(name, side), json.dumps(call.body(side)), "application/json"
        )
        assert answer.status_code in (200, 204), (name, method, answer.content)
