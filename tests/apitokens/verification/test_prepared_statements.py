"""PostgreSQL plans the look-up of a token once a connection; where that cannot be, it is run as
usual."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime

import pytest
from django.db import connection, connections, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from pytest_django import Settings

from accounts.models import Membership
from apitokens.keys import Key
from apitokens.verification import prepared_statements
from apitokens.verification.verify import verify
from tests.config.database.test_pgbouncer import pooled
from tests.conftest import Issue, is_on_postgresql

pytestmark = [
    pytest.mark.skipif(not is_on_postgresql(), reason="SQLite plans what is new to it only"),
    pytest.mark.django_db(transaction=True),
    pytest.mark.usefixtures("beginning"),
]
through_pooler = pooled  # a fixture


@pytest.fixture
def beginning() -> Iterator[None]:
    """As a process that has just started."""
    before, prepared_statements._prepared = (
        prepared_statements._prepared,
        prepared_statements._Prepared(),
    )
    yield
    prepared_statements._prepared = before
    connection.close()


@pytest.fixture
def key(user: Membership, issue: Issue, now: datetime, settings: Settings) -> Key:
    """The key of a token that was used before, and is asked of the database each time."""
    settings.VERIFY_CACHE_SECONDS = 0
    key = issue(user).key
    verify(presented=key.spell(), at=now)
    return key


def asked(key: Key) -> list[str]:
    """The first words of what the database is asked, by two verifications."""
    with CaptureQueriesContext(connection) as queries:
        for _time in range(2):
            assert verify(presented=key.spell(), at=timezone.now()).token_id == key.id
    return [each["sql"].split()[0] for each in queries]


def test_statement_is_prepared_once_a_connection(key: Key) -> None:
    assert asked(key) == ["EXECUTE", "EXECUTE"]
    connection.close()
    assert asked(key) == ["PREPARE", "EXECUTE", "EXECUTE"]


def test_nothing_is_prepared_in_a_transaction(key: Key) -> None:
    with transaction.atomic():
        assert asked(key) == ["SELECT", "SELECT"]


@pytest.mark.parametrize(
    "other",
    [
        "DEALLOCATE ALL",
        "ALTER TABLE accounts_user ALTER COLUMN email TYPE varchar(2000)",
    ],
)
def test_statement_that_is_gone_or_changed_is_run_as_usual(key: Key, other: str) -> None:
    asked(key)
    try:
        with connection.cursor() as cursor:
            cursor.execute(other)
        assert asked(key) == ["EXECUTE", "SELECT", "SELECT"]
    finally:
        with connection.cursor() as cursor:
            cursor.execute("ALTER TABLE accounts_user ALTER COLUMN email TYPE varchar(254)")


@pytest.mark.pgbouncer
@pytest.mark.usefixtures("through_pooler")
def test_pooler_that_shares_connections_keeps_nobody_from_an_answer(key: Key) -> None:
    """All share one connection to PostgreSQL: there the second finds what the first prepared."""

    def ask(_number: int) -> int | None:
        try:
            return verify(presented=key.spell(), at=timezone.now()).token_id
        finally:
            connections.close_all()

    with ThreadPoolExecutor(4) as threads:
        assert set(threads.map(ask, range(40))) == {key.id}
    assert not prepared_statements._prepared.is_possible
