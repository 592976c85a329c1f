"""Strangers leave nothing behind: what nobody is known by is kept by their browser, if at all."""

import re
from typing import Any

import pytest
from django.contrib.sessions.models import Session
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from tests.tenancy.conftest import tenancy
from tests.tenancy.fixture import TenancyFixture
from tests.tenancy.probe import rolled_back
from tests.tenancy.routes import Route, routes

__all__ = ["tenancy"]

pytestmark = pytest.mark.django_db

WRITES = re.compile(r"^\s*(INSERT|UPDATE|DELETE|MERGE)", re.IGNORECASE)
WANTED = {("sso:acs", "POST"): 'INSERT INTO "accounts_auditevent"'}
"""A refused message of a provider is on the record: 30 a minute for each network, and no more."""
PLAIN_ASKS: list[tuple[str, dict[str, str]]] = [("GET", {}), ("POST", {})]
ASKS = [*PLAIN_ASKS, ("GET", {"HTTP_X_REQUESTED_WITH": "XMLHttpRequest"})]


@pytest.mark.parametrize("route", routes(), ids=lambda route: route.name)
def test_stranger_leaves_no_row(route: Route, tenancy: TenancyFixture) -> None:
    is_scripted = route.name.startswith("mfa_")
    for method, headers in ASKS if is_scripted else PLAIN_ASKS:
        client: Any = Client(raise_request_exception=False)
        before = Session.objects.count()
        with rolled_back(), CaptureQueriesContext(connection) as asked:
            answer = client.generic(method, route.address(tenancy), **headers)
        sent = [each["sql"] for each in asked.captured_queries]
        written = [sql for sql in sent if WRITES.match(sql) and not _is_wanted(route, method, sql)]
        assert (written, Session.objects.count()) == ([], before), (method, answer.status_code)


def _is_wanted(route: Route, method: str, sql: str) -> bool:
    return sql.startswith(WANTED.get((route.name, method), "never"))
