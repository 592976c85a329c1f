"""Of two servers the one is used that can be written to (docs/operations/more-than-one.md)."""

from contextlib import closing
from urllib.parse import parse_qs, quote, urlsplit

import psycopg
import pytest
from django.db.utils import ConnectionHandler

from config.env.databases import parse_database_url
from tests import services
from tests.portal import ROOT

ATTRIBUTE = "?target_session_attrs=read-write"


def folder_of(url: str) -> str:
    """Where the server has its socket."""
    return parse_qs(urlsplit(url).query)["host"][0]


def set_read_only(url: str, value: str) -> None:
    """As a server is that has become a standby, or that others have taken over from."""
    with psycopg.connect(url, autocommit=True) as server:
        server.execute("SET default_transaction_read_only = off")
        server.execute(f"ALTER SYSTEM SET default_transaction_read_only = {value}")
        server.execute("SELECT pg_reload_conf()")
        server.execute("SELECT pg_sleep(0.5)")


@pytest.mark.long
def test_connections_follow_the_server_that_can_be_written_to() -> None:
    assert (
        f"db-1:5432,db-2:5432/permatoken{ATTRIBUTE}"
        in (ROOT / "docs" / "operations" / "more-than-one.md").read_text()
    )
    with (
        services.postgresql(is_durable=False) as first,
        services.postgresql(is_durable=False) as second,
    ):
        hosts = ",".join(quote(folder_of(url), safe="") for url in (first, second))
        found = parse_database_url(
            f"postgres://postgres@{hosts}/postgres{ATTRIBUTE}", conn_max_age=0
        )
        connection = ConnectionHandler({"default": found})["default"]

        def used() -> str:
            facts = connection.get_connection_params()
            with closing(connection.get_new_connection(facts)) as made:
                return str(made.info.host)

        assert used() == folder_of(first)
        set_read_only(first, "on")
        assert used() == folder_of(second)

        set_read_only(second, "on")
        with pytest.raises(Exception, match="session is read-only"):
            used()
        set_read_only(first, "off")
        assert used() == folder_of(first)
