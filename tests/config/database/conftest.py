"""What goes wrong with a database, for real."""

import resource
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

import psycopg
import pytest
from django.db import connection
from django.test import Client

from accounts.models import Membership
from config.database import limits
from config.database.places import DatabasePlaces
from tests.conftest import SignIn, is_on_postgresql
from tests.factories import ACCOUNT_ID

LIST = f"/accounts/{ACCOUNT_ID}/api-tokens/"
CREATE = f"{LIST}create/"
API = f"/iam/clients/{ACCOUNT_ID}/tokens"
FORM = {
    "name": "CI",
    "description": "",
    "role": "2",
    "expiration": "never",
    "expires_on": "",
    "form_key": str(uuid4()),
}
"""What a browser sends: once only, if it is taken."""
NEW: dict[str, Any] = {"name": "CI", "exp_date": None, "client_user": {}}
Locked = Callable[[str, int], AbstractContextManager[None]]


@pytest.fixture
def browser(client: Client, administrator: Membership, sign_in: SignIn) -> Client:
    """The browser of an Administrator, which sees what people see when something goes wrong."""
    sign_in(client, administrator)
    client.raise_request_exception = False
    return client


@pytest.fixture
def locked() -> Locked:
    """`with locked(table, id):` somebody else holds the lock of this row."""

    @contextmanager
    def act(table: str, row_id: int) -> Iterator[None]:
        with another_connection() as other:
            other.execute(f"SELECT 1 FROM {table} WHERE id = %s FOR UPDATE", [row_id])
            yield

    return act


@pytest.fixture
def impatience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody waits for seconds in a test."""
    monkeypatch.setattr(limits, "_PATIENT", ("SET LOCAL lock_timeout = '50ms'",))


@pytest.fixture
def places(monkeypatch: pytest.MonkeyPatch) -> DatabasePlaces:
    """The places of this process, where nobody waits for a turn."""
    monkeypatch.setattr("config.database.places.STUCK_AFTER", 0)
    fresh = DatabasePlaces()
    monkeypatch.setattr(limits, "places", fresh)
    return fresh


@pytest.fixture
def away(transactional_db: None, monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """`away()`: from now on the database cannot be reached."""

    def act() -> None:
        connection.close()
        place = "HOST" if is_on_postgresql() else "NAME"
        monkeypatch.setitem(connection.settings_dict, place, "/nowhere/at/all")

    return act


@pytest.fixture
def full_disk() -> Callable[[], AbstractContextManager[None]]:
    """`with full_disk():` this process can write to no file, as where there is no room left."""

    @contextmanager
    def act() -> Iterator[None]:
        usual = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, usual[1]))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, usual)

    return act


def another_connection() -> psycopg.Connection:
    """Somebody else who is at the same database of PostgreSQL."""
    parameters = connection.get_connection_params()
    names = {"dbname", "user", "host"} & parameters.keys()
    return psycopg.connect(**{name: parameters[name] for name in names})


def database_file() -> Path:
    return Path(str(connection.settings_dict["NAME"]))


def unavailable(answer: Any) -> str:
    """The text of an answer that says what is the matter, and when to come again."""
    assert answer.status_code == 503
    assert int(answer.headers["Retry-After"]) > 0
    return str(answer.content.decode())
