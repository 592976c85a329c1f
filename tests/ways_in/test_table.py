"""No way leads around a rule: each way is tried under each rule, and the table says what happens.

A new way or a new rule has no cells yet, and the first test says so.
"""

from datetime import datetime
from typing import Any

import pytest
from django.test import Client
from django.urls import resolve

from sso.models import Connection
from tests.idp.keys import SigningKey
from tests.sso.conftest import signing, trusted
from tests.ways_in.routes import ROUTE_OF
from tests.ways_in.rules import RULES
from tests.ways_in.ways import IN, NO_ACCOUNT, OUT, SECOND_FACTOR, WAYS, World

__all__ = ["signing", "trusted"]

pytestmark = pytest.mark.django_db

_COLUMNS = tuple(RULES)

# What follows from each rule, in the order of RULES: nothing, single sign-on forced, person
# deactivated, removed from the account, account closed, tokens suspended, second factor required.
TABLE: dict[str, tuple[str, ...]] = {
    "password": (IN, OUT, OUT, NO_ACCOUNT, NO_ACCOUNT, IN, SECOND_FACTOR),
    "password in a known browser": (IN, OUT, OUT, NO_ACCOUNT, NO_ACCOUNT, IN, SECOND_FACTOR),
    # A passkey that asks for a PIN or a finger is two factors.
    "passkey": (IN, OUT, OUT, NO_ACCOUNT, NO_ACCOUNT, IN, IN),
    "second factor": (IN, OUT, OUT, NO_ACCOUNT, NO_ACCOUNT, IN, IN),
    "recovery code": (IN, OUT, OUT, NO_ACCOUNT, NO_ACCOUNT, IN, IN),
    "single sign-on": (IN, IN, OUT, OUT, OUT, IN, SECOND_FACTOR),
    # A session that began before goes on until it ends (docs/decisions/0025-saml-login.md).
    "open session": (IN, IN, OUT, NO_ACCOUNT, NO_ACCOUNT, IN, IN),
    # The same just before their end, which comes whatever was stored in them.
    "password session of 14 days": (IN, IN, OUT, NO_ACCOUNT, NO_ACCOUNT, IN, IN),
    "single sign-on session of 12 hours": (IN, IN, OUT, NO_ACCOUNT, NO_ACCOUNT, IN, IN),
    "password reset link": (IN, OUT, OUT, NO_ACCOUNT, NO_ACCOUNT, IN, SECOND_FACTOR),
    # Into another account, which the rules of this one concern as far as they are about the person.
    "invitation link": (IN, OUT, OUT, IN, IN, IN, SECOND_FACTOR),
    "confirmation link": (IN, OUT, OUT, IN, IN, IN, SECOND_FACTOR),
    "e-mail change link": (IN, OUT, OUT, NO_ACCOUNT, NO_ACCOUNT, IN, SECOND_FACTOR),
    # Operators are forced by nobody, and need no account.
    "operators' pages": (IN, IN, OUT, IN, IN, IN, SECOND_FACTOR),
    "JWT login": (IN, OUT, OUT, OUT, OUT, IN, OUT),
    "JWT refresh": (IN, OUT, OUT, OUT, OUT, IN, IN),
    "JWT switch": (IN, OUT, OUT, OUT, OUT, IN, IN),
    # An access token of before is good for the rest of its hour.
    "Bearer": (IN, IN, OUT, OUT, OUT, IN, IN),
    "Bearer verified": (IN, IN, OUT, OUT, OUT, IN, IN),
    "Bearer introspected": (IN, IN, OUT, OUT, OUT, IN, IN),
    "Bearer introspected in a batch": (IN, IN, OUT, OUT, OUT, IN, IN),
    "API token": (IN, IN, OUT, OUT, OUT, OUT, IN),
    "API token verified": (IN, IN, OUT, OUT, OUT, OUT, IN),
    "API token verified from memory": (IN, IN, OUT, OUT, OUT, OUT, IN),
    "API token introspected": (IN, IN, OUT, OUT, OUT, OUT, IN),
    "API token introspected from memory": (IN, IN, OUT, OUT, OUT, OUT, IN),
    "API token introspected in a batch": (IN, IN, OUT, OUT, OUT, OUT, IN),
    "new token of a service account": (IN, IN, OUT, OUT, OUT, OUT, IN),
    "new token of a service account, version 2": (IN, IN, OUT, OUT, OUT, OUT, IN),
    "new secret of a service account": (IN, IN, OUT, OUT, OUT, OUT, IN),
    "new secret of a service account, version 2": (IN, IN, OUT, OUT, OUT, OUT, IN),
}


@pytest.fixture
def world(trusted: Connection, signing: SigningKey, now: datetime) -> World:
    return World(trusted, signing, now)


def test_no_cell_is_empty() -> None:
    assert set(TABLE) == set(WAYS)
    assert all(len(row) == len(RULES) for row in TABLE.values())


@pytest.fixture
def requested(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """The routes that were requested, by their names."""
    names, ask = set[str](), Client.request

    def request(client: Client, **environ: Any) -> Any:
        names.add(resolve(environ["PATH_INFO"]).view_name)
        return ask(client, **environ)

    monkeypatch.setattr(Client, "request", request)
    return names


@pytest.mark.usefixtures("memory")
@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize("way", WAYS)
def test_way_under_rule(
    world: World, way: str, rule: str, requested: set[str], django_capture_on_commit_callbacks: Any
) -> None:
    attempt = WAYS[way](world)
    with django_capture_on_commit_callbacks(execute=True):
        RULES[rule](world)
    requested.clear()

    assert attempt() == TABLE[way][_COLUMNS.index(rule)]
    if rule == "nothing":
        assert ROUTE_OF[way] in requested
