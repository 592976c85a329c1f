#!/usr/bin/env python
"""Django's command line: `manage.py help` lists what it can do."""

import os
import sys

NO_TABLE = ("42P01", "42703")
"""SQLSTATE of PostgreSQL for a table or column that is not there."""


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    from django.conf import settings
    from django.core.exceptions import ImproperlyConfigured
    from django.core.management import execute_from_command_line
    from django.db import OperationalError, ProgrammingError

    try:
        settings.INSTALLED_APPS  # noqa: B018  # loads the settings
    except ImproperlyConfigured as error:
        sys.exit(f"The settings cannot be used: {error}")
    try:
        execute_from_command_line(sys.argv)
    except (OperationalError, ProgrammingError) as error:
        if "--traceback" in sys.argv:
            raise
        sys.exit(_explain(error))


def _explain(error: Exception) -> str:
    """What is wrong with the database, and what to do."""
    from django.db import connection

    facts = connection.settings_dict
    place = ":".join(str(facts[name]) for name in ("HOST", "PORT") if facts[name])
    name = f"{facts['NAME']} at {place}" if place else str(facts["NAME"])
    reason = str(error).partition("\n")[0]
    if getattr(error.__cause__, "sqlstate", None) in NO_TABLE or reason.startswith("no such "):
        return (
            f"The database {name} is not prepared ({reason}). If the portal has its data "
            "elsewhere, set DATA_DIR or DATABASE_URL as it does; else prepare this one: "
            "manage.py migrate"
        )
    return f"The database {name} cannot be used: {reason}"


if __name__ == "__main__":
    main()
