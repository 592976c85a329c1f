"""A connection to the database that died meanwhile is replaced, and none is asked how it is."""

from datetime import datetime
from unittest.mock import patch

import psycopg
import pytest
from django.db import OperationalError, close_old_connections, connections
from pytest_django import Settings

from accounts.models import Membership
from apitokens.keys import Key
from apitokens.verification import token_lookup
from apitokens.verification.verify import verify
from tests.conftest import Issue, is_on_postgresql

pytestmark = [
    pytest.mark.skipif(not is_on_postgresql(), reason="SQLite's are not kept"),
    pytest.mark.django_db(transaction=True),
]


@pytest.fixture
def key(user: Membership, issue: Issue, now: datetime, settings: Settings) -> Key:
    """The key of a token that was used before, and is asked of the database in the next request."""
    settings.VERIFY_CACHE_SECONDS = 0
    key = issue(user).key
    verify(presented=key.spell(), at=now)
    close_old_connections()
    return key


def end_connection() -> None:
    """PostgreSQL ends the test's connection, as when it starts again."""
    kept = connections["default"]
    parameters = kept.get_connection_params()
    wanted = {name: parameters[name] for name in ("dbname", "user", "host") if name in parameters}
    with psycopg.connect(**wanted, autocommit=True) as other:
        other.execute("SELECT pg_terminate_backend(%s, 5000)", [kept.connection.info.backend_pid])


def test_connection_that_died_is_replaced(key: Key, now: datetime) -> None:
    end_connection()

    assert verify(presented=key.spell(), at=now).token_id == key.id


def test_kept_connection_is_not_asked_how_it_is(key: Key, now: datetime) -> None:
    with patch.object(connections["default"], "is_usable") as asked:
        verify(presented=key.spell(), at=now)

    assert not asked.called


def test_database_that_stays_away_is_asked_twice_at_the_most(key: Key, now: datetime) -> None:
    with (
        patch.object(token_lookup, "_run", side_effect=OperationalError) as asked,
        pytest.raises(OperationalError),
    ):
        verify(presented=key.spell(), at=now)

    assert asked.call_count == 2
