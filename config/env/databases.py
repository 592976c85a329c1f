"""Parses the URL of the database."""

from typing import Any

from environ import Env

SQLITE = "django.db.backends.sqlite3"

# WAL lets readers go on while one writes; IMMEDIATE takes the write lock before reading, so that
# check-then-act is safe and "database is locked" cannot strike half way (measured, see
# docs/decisions). FULL costs some milliseconds a commit; with NORMAL a power cut could undo the
# last ones, and a deleted token would be back, or a mail that was sent would go again.
_SQLITE_OPTIONS = {
    "timeout": 30,
    "transaction_mode": "IMMEDIATE",
    "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;",
}


def parse_database_url(url: str, *, conn_max_age: int) -> dict[str, Any]:
    """Django's settings for one database; `conn_max_age`, in seconds, is for PostgreSQL."""
    database: dict[str, Any] = Env.db_url_config(url)
    if database["ENGINE"] == SQLITE:
        return {**database, "OPTIONS": {**_SQLITE_OPTIONS}}
    return {**database, "CONN_MAX_AGE": conn_max_age, "CONN_HEALTH_CHECKS": True}
