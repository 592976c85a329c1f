"""Holds the files of SQLite in place, from the first request on, and makes none from then on."""

from collections.abc import Iterable
from typing import Any

from django.db import connection

from config.database.wal import FileHolder, open_existing_only
from config.server.responses import WSGIApplication


def hold_database_files(serve: WSGIApplication) -> WSGIApplication:
    """Let a full disk keep nobody from reading. PostgreSQL needs none of this."""
    if connection.vendor != "sqlite":
        return serve
    holder = FileHolder()

    def serve_holding(environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        open_existing_only()
        holder.hold()
        return serve(environ, start_response)

    return serve_holding
